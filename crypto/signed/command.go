package signed

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// CommandType is the payload type of a command.
const CommandType = "application/vnd.sealgate.command.v1+json"

// RoleCommand signs commands.
const RoleCommand = "command"

const commandSchema = "sealgate-command/v1"

// The commands.
const (
	Lockdown          = "lockdown"           // nothing leaves; what devices publish is kept, protected
	Release           = "release"            // ends a lockdown
	RotateKeys        = "rotate-keys"        // a new data key at once; the argument names another of the gateway's keys
	ReleaseQuarantine = "release-quarantine" // sends what was quarantined on the uplink that the argument names
	Report            = "report"             // publish the status now
	Resync            = "resync"             // fetch every retained document again
)

// Commands lists the commands.
func Commands() []string {
	return []string{Lockdown, Release, RotateKeys, ReleaseQuarantine, Report, Resync}
}

// Fleet is the target of a command to every gateway of a site.
const Fleet = "*"

// FleetSigners is how many distinct keys must sign a command to every gateway,
// whatever lower threshold the role has.
const FleetSigners = 2

// A Command is something to do once. To one gateway it echoes the challenge of
// that gateway's status; to all, which can't be asked for one each, it has a
// version instead, and is limited to lockdown and release.
type Command struct {
	Site      string
	Target    string // a gateway, or Fleet
	Epoch     uint64
	Command   string
	Argument  string
	Challenge [16]byte // zero in a command to all
	Version   uint64   // 0 in a command to one
	IssuedAt  time.Time
	NotAfter  time.Time
}

type wireCommand struct {
	Schema    string `json:"schema"`
	Site      string `json:"site"`
	Target    string `json:"target"`
	Epoch     uint64 `json:"root_epoch"`
	Command   string `json:"command"`
	Argument  string `json:"argument"`
	Challenge string `json:"challenge"` // hex of 16 bytes; empty in a command to all
	Version   uint64 `json:"version"`
	IssuedAt  string `json:"issued_at"`
	NotAfter  string `json:"not_after"`
}

// ParseCommand reads the verified bytes of a command.
func ParseCommand(verified []byte) (*Command, error) {
	var w wireCommand
	if err := decodeDocument(verified, &w, commandSchema, func() string { return w.Schema }); err != nil {
		return nil, err
	}
	c := &Command{Site: w.Site, Target: w.Target, Epoch: w.Epoch, Command: w.Command, Argument: w.Argument, Version: w.Version}
	all := w.Target == Fleet
	switch {
	case !validName(w.Site) || !all && !validGateway(w.Target) || w.Epoch == 0:
		return nil, content("site or target is not a name, or root_epoch is 0")
	case !slices.Contains(Commands(), w.Command):
		return nil, content("the command is not known")
	case w.Argument != "" && !validGateway(w.Argument):
		return nil, content("the argument is not a name")
	case all && (w.Command != Lockdown && w.Command != Release || w.Version == 0 || w.Challenge != ""):
		return nil, content("a command to all is lockdown or release, with a version and without a challenge")
	case !all && (w.Version != 0 || !unhex(c.Challenge[:], w.Challenge) || c.Challenge == [16]byte{}):
		return nil, content("a command to one gateway has a challenge of 16 bytes and no version")
	}
	var err error
	c.IssuedAt, c.NotAfter, err = validity(w.IssuedAt, w.NotAfter)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// SignCommand checks a command and signs it.
func SignCommand(c *Command, signers ...*crypto.Signer) ([]byte, error) {
	w := wireCommand{
		Schema: commandSchema, Site: c.Site, Target: c.Target, Epoch: c.Epoch, Command: c.Command, Argument: c.Argument,
		Version: c.Version, IssuedAt: stamp(c.IssuedAt), NotAfter: stamp(c.NotAfter),
	}
	if c.Challenge != [16]byte{} {
		w.Challenge = hex.EncodeToString(c.Challenge[:])
	}
	body, err := marshal(w, func(b []byte) error { _, err := ParseCommand(b); return err })
	if err != nil {
		return nil, err
	}
	return Sign(CommandType, body, signers...)
}
