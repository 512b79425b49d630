package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/crypto/signed"
)

func newKeysPush(e *env) *cobra.Command {
	var d desk
	c := &cobra.Command{
		Use:   "push",
		Short: "Publish the recipients bundle, and the registry of gateways",
		Long: `Push checks DIR/recipients.bundle, and DIR/gateways.registry where there is one,
against DIR/root.json, and publishes them retained. Gateways with control.uplink
take the bundle from there at once; those without get it as a file.`,
		Example: "  sealctl keys push --broker mqtts://broker.example.com:8883",
		Args:    want(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			path := filepath.Join(d.dir, bundleFile)
			b, _, err := readBundle(path, filepath.Join(d.dir, rootFile))
			if err != nil {
				return err
			}
			raw, err := readFile(path, signed.MaxEnvelope)
			if err != nil {
				return err
			}
			where := topic(b.Site, "recipients")
			posts := []post{{where, fmt.Sprintf("recipients version %d published on %s", b.Version, where), true, raw}}
			switch reg, raw, err := d.registry(); {
			case err == nil:
				where := topic(b.Site, "registry")
				posts = append(posts, post{where, fmt.Sprintf("registry version %d published on %s", reg.Version, where), true, raw})
			case !errors.Is(err, fs.ErrNotExist):
				return err
			}
			return d.publish(c.Context(), e, posts...)
		},
	}
	d.registerKeys(c.Flags())
	d.registerBroker(c.Flags())
	return c
}
