package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// maxPassphrase bounds a passphrase file.
const maxPassphrase = 4 << 10

// passphraseFlags say where the passphrase of private key files comes from.
type passphraseFlags struct {
	file string
	ask  bool // for new keys
}

func (p *passphraseFlags) register(fs *pflag.FlagSet, makes bool) {
	fs.StringVar(&p.file, "passphrase-file", "", "read the passphrase of private keys from the first line of `FILE`")
	if makes {
		fs.BoolVar(&p.ask, "passphrase", false, "ask for a passphrase that encrypts the new private keys")
	}
}

// forNew returns the passphrase for new keys, nil for none.
func (p *passphraseFlags) forNew(e *env) ([]byte, error) {
	switch {
	case p.file != "":
		return p.fromFile()
	case !p.ask:
		return nil, nil
	}
	first, err := e.prompt("passphrase for the new keys: ")
	if err != nil {
		return nil, err
	}
	again, err := e.prompt("once more: ")
	if err != nil {
		return nil, err
	}
	switch {
	case len(first) == 0:
		return nil, errors.New("the passphrase is empty; leave out --passphrase for keys without one")
	case !bytes.Equal(first, again):
		return nil, errors.New("the two passphrases differ; nothing was made")
	}
	return first, nil
}

// forOld returns what asks for the passphrase of existing keys; it asks once.
func (p *passphraseFlags) forOld(e *env) func(path string) ([]byte, error) {
	var known []byte
	return func(path string) ([]byte, error) {
		if known != nil {
			return known, nil
		}
		var err error
		if p.file != "" {
			known, err = p.fromFile()
		} else {
			known, err = e.prompt(fmt.Sprintf("passphrase of %s: ", visible(path)))
		}
		return known, err
	}
}

func (p *passphraseFlags) fromFile() ([]byte, error) {
	raw, err := readFile(p.file, maxPassphrase)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, fmt.Errorf("read passphrase: the first line of %s is empty", p.file)
	}
	return line, nil
}

// prompt asks on the terminal, also where stdin and stdout are redirected.
func (e *env) prompt(question string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.New("there is no terminal to ask for a passphrase on; use --passphrase-file")
	}
	defer tty.Close()
	fmt.Fprint(tty, question)
	answer, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	return answer, nil
}
