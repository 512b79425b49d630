package control

import (
	"crypto/subtle"

	"github.com/sealgate/sealgate/crypto/signed"
)

// obey carries out a command. That it came is written down before it has any
// effect, so that it can't be carried out twice.
func (g *Gate) obey(raw []byte) (Code, error) {
	body, err := g.verify(signed.RoleCommand, signed.CommandType, raw)
	if err != nil {
		return codeOf(err), err
	}
	c, err := signed.ParseCommand(body)
	if err != nil {
		return codeOf(err), err
	}
	all := c.Target == signed.Fleet
	switch {
	case c.Site != g.opt.Site:
		return refuse(CodeSite, "it is for another site")
	case !all && c.Target != g.opt.Gateway:
		return refuse(CodeTarget, "it is for another gateway")
	case c.Epoch != g.root.Epoch:
		return refuse(CodeEpoch, "it was made in another epoch of the trust root")
	}
	if code, err := g.timely(c.IssuedAt, c.NotAfter); err != nil {
		return code, err
	}
	held := g.state
	if all {
		if err := g.bySeveral(raw); err != nil {
			return CodeSignature, err
		}
		if c.Version <= g.state.Commands {
			return refuse(CodeRollback, "a later command to all was carried out before")
		}
		g.state.Commands = c.Version
	} else {
		if subtle.ConstantTimeCompare(c.Challenge[:], g.state.Challenge[:]) != 1 {
			return refuse(CodeChallenge, "it does not echo the challenge of the last status: fetch the status, and sign anew")
		}
		if err := g.state.newChallenge(); err != nil {
			return CodeStorage, err
		}
	}
	switch c.Command {
	case signed.Lockdown:
		g.state.Lockdown = true
	case signed.Release:
		g.state.Lockdown = false
	}
	if err := g.writeState(); err != nil {
		g.state = held
		return CodeStorage, err
	}
	switch c.Command {
	case signed.Lockdown, signed.Release:
		g.opt.Host.Hold(g.state.Lockdown)
	case signed.Report: // Offer always makes a new status due
	default:
		if err := g.opt.Host.Execute(c.Command, c.Argument); err != nil {
			return CodeExecute, err
		}
	}
	return CodeApplied, nil
}

// bySeveral checks that a command to all was signed by two distinct keys.
func (g *Gate) bySeveral(raw []byte) error {
	role, err := g.root.Role(signed.RoleCommand)
	if err != nil {
		return err
	}
	if role, err = role.AtLeast(signed.FleetSigners); err != nil {
		return err
	}
	_, err = role.Verify(raw, signed.CommandType)
	return err
}
