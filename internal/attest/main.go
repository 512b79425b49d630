// Command attest writes what goes with a release so that others can check it:
//
//	attest vex -statements FILE -findings FILE         do our statements say what govulncheck finds
//	attest vex -statements FILE -version V -time T     the statements as an OpenVEX document
//	attest sign -dir DIR -key FILE -version V …        SHA256SUMS, its signature, and the provenance
//
// It reads no clock and draws no random number: the same release gives the same
// bytes, signatures included. It is a tool of this repository, not installed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "attest:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("usage: attest vex|sign FLAGS")
	}
	flags := flag.NewFlagSet("attest "+args[0], flag.ContinueOnError)
	version := flags.String("version", "", "the release's `version`")
	at := flags.String("time", "", "the commit's time, RFC 3339")
	switch args[0] {
	case "vex":
		statements := flags.String("statements", "", "`file` with what we say of vulnerabilities")
		findings := flags.String("findings", "", "govulncheck's JSON: check only")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		list, err := readStatements(*statements)
		if err != nil {
			return err
		}
		if *findings != "" {
			return checkFindings(*findings, list, out)
		}
		when, err := time.Parse(time.RFC3339, *at)
		if err != nil {
			return fmt.Errorf("read -time: %w", err)
		}
		return writeVEX(out, *version, when, list)
	case "sign":
		r := release{}
		flags.StringVar(&r.Dir, "dir", "", "`directory` with the release's files")
		flags.StringVar(&r.Key, "key", "", "Ed25519 private key, PKCS #8 in PEM, `file`")
		flags.StringVar(&r.Commit, "commit", "", "the source's commit")
		flags.StringVar(&r.SupportEnd, "support-end", "", "until when there are security updates, YYYY-MM-DD")
		flags.StringVar(&r.Go, "go", "", "the Go version")
		flags.StringVar(&r.Boards, "boards", "", "the boards that were built for")
		flags.StringVar(&r.Builder, "builder", "", "URI of who built")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		r.Version, r.Time = *version, *at
		return r.sign()
	}
	return fmt.Errorf("unknown command %q", args[0])
}
