package agent

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/crypto/signed"
)

// Enroll makes a gateway's request to be registered: with the key that it signs
// with, and signed by it. It makes the gateway's keys if there are none.
func Enroll(ctx context.Context, cfg *config.Config, machine []byte, now time.Time) (*signed.Enrolment, []byte, error) {
	k, err := openBeside(ctx, cfg, machine)
	if err != nil {
		return nil, nil, err
	}
	e := &signed.Enrolment{Site: cfg.Site, Gateway: cfg.Gateway, KEM: k.RecipientKey().Recipient(), IssuedAt: now}
	if _, err := rand.Read(e.Nonce[:]); err != nil {
		return nil, nil, fmt.Errorf("read random bytes: %w", err)
	}
	// Keyed, because systemd asks to keep the id confidential (machine-id(5)).
	tag := hmac.New(sha256.New, []byte("sg1/machine"))
	tag.Write(machine)
	copy(e.Machine[:], tag.Sum(nil))
	if cfg.Keys.TrustRoot != "" {
		root, err := os.ReadFile(cfg.Keys.TrustRoot)
		if err != nil {
			return nil, nil, fmt.Errorf("read trust root: %w", err)
		}
		e.Root = sha256.Sum256(root)
	}
	raw, err := signed.SignEnrolment(e, k.Signer())
	if err != nil {
		return nil, nil, fmt.Errorf("make request: %w", err)
	}
	return e, raw, nil
}
