package custody

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// tpmTimeout bounds one command. Making a key takes the slowest of them a
// second or two.
const tpmTimeout = 30 * time.Second

const (
	tpmHeader    = 10 // tag, size, code (TPM 2.0 Part 1, section 18)
	maxTPMAnswer = 4096
)

// device is a TPM behind a character device or a Unix socket.
type device struct{ rw io.ReadWriteCloser }

func openTPM(path string) (transport.TPMCloser, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, noTPM(path, err)
	}
	if st.Mode().Type() == fs.ModeSocket {
		conn, err := net.DialTimeout("unix", path, tpmTimeout)
		if err != nil {
			return nil, noTPM(path, err)
		}
		return device{conn}, nil
	}
	if st.Mode()&fs.ModeCharDevice == 0 {
		return nil, fmt.Errorf("%w: %s is neither a device nor a socket; set custody.tpm.device", ErrMissing, path)
	}
	// os.OpenFile would make the device non-blocking, and then Linux answers a read
	// that comes before the TPM is done with nothing, which looks like the end.
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, noTPM(path, err)
	}
	return device{os.NewFile(uintptr(fd), path)}, nil
}

func noTPM(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no TPM at %s; switch it on in the firmware, load its driver, or set custody.tpm.device", ErrUnavailable, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s may not be opened; the service needs the drop-in tpm.conf, a person the group tss", ErrUnavailable, path)
	}
	return fmt.Errorf("%w: open TPM: %w", ErrUnavailable, err)
}

func (d device) Close() error { return d.rw.Close() }

// Send gives a command to the TPM, again where the TPM asks for that: it does
// before the first use of an authorization value after it was switched on.
func (d device) Send(command []byte) ([]byte, error) {
	for try := 0; ; try++ {
		answer, err := d.exchange(command)
		if err != nil || try == 4 {
			return answer, err
		}
		switch tpm2.TPMRC(binary.BigEndian.Uint32(answer[6:])) {
		case tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate:
			time.Sleep(20 * time.Millisecond << try)
		default:
			return answer, nil
		}
	}
}

// exchange writes a command and reads its whole answer: a device gives it at
// once, a socket may give it in pieces.
func (d device) exchange(command []byte) ([]byte, error) {
	if c, ok := d.rw.(net.Conn); ok {
		if err := c.SetDeadline(time.Now().Add(tpmTimeout)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	if _, err := d.rw.Write(command); err != nil {
		return nil, fmt.Errorf("%w: write to TPM: %w", ErrUnavailable, err)
	}
	answer := make([]byte, maxTPMAnswer)
	for n := 0; ; {
		m, err := d.rw.Read(answer[n:])
		if n += m; n >= tpmHeader {
			switch size := binary.BigEndian.Uint32(answer[2:]); {
			case size > maxTPMAnswer || size < tpmHeader:
				return nil, fmt.Errorf("%w: the TPM's answer has a wrong length", ErrUnavailable)
			case uint32(n) >= size:
				return answer[:size], nil
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w: read from TPM: %w", ErrUnavailable, err)
		}
	}
}

// errCleared: what was sealed is gone for good, and only a rescue key helps.
var errCleared = fmt.Errorf("%w: this is another TPM, or it was cleared; open the keys with their rescue key: sealgate keys rescue", ErrOther)

// explain turns a TPM's code into what it means here and what to do (TPM 2.0
// Part 2, section 6.6).
func explain(what string, err error) error {
	reason := func(parent error, text string) error { return fmt.Errorf("%s: %w: %s", what, parent, text) }
	switch {
	case errors.Is(err, ErrUnavailable):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, tpm2.TPMRCLockout):
		return reason(ErrUnavailable, "the TPM is in lockout after wrong authorization values; wait for its recovery time, or clear it as the lockout's owner: tpm2_dictionarylockout --clear-lockout")
	case errors.Is(err, tpm2.TPMRCPolicyFail), errors.Is(err, tpm2.TPMRCPCRChanged):
		return reason(ErrRefused, "the PCRs are not as they were: firmware or secure boot changed; undo the change, or open the keys with their rescue key: sealgate keys rescue")
	case errors.Is(err, tpm2.TPMRCAuthFail), errors.Is(err, tpm2.TPMRCBadAuth):
		if what == "make storage root key" {
			return reason(ErrRefused, "the owner hierarchy has a password, so that its storage key can't be used")
		}
		return reason(ErrRefused, "the authorization value is wrong; check custody.tpm.auth_file")
	case errors.Is(err, tpm2.TPMRCIntegrity):
		return reason(ErrOther, "the sealed key was changed, or belongs to another TPM; restore the custody record, or open the keys with their rescue key: sealgate keys rescue")
	case errors.Is(err, tpm2.TPMRCHierarchy):
		return reason(ErrUnavailable, "the owner hierarchy is off; switch it on in the firmware")
	case errors.Is(err, tpm2.TPMRCRetry), errors.Is(err, tpm2.TPMRCNVRate), errors.Is(err, tpm2.TPMRCTesting), errors.Is(err, tpm2.TPMRCInitialize):
		return reason(ErrUnavailable, "the TPM is busy or not started yet")
	case errors.Is(err, tpm2.TPMRCObjectMemory), errors.Is(err, tpm2.TPMRCSessionMemory), errors.Is(err, tpm2.TPMRCObjectHandles), errors.Is(err, tpm2.TPMRCSessionHandles):
		return reason(ErrUnavailable, "the TPM has no room: use the device with a resource manager, /dev/tpmrm0")
	}
	return fmt.Errorf("%s: %w: %w", what, ErrRefused, err)
}

// tpmAuth reads the authorization value. Its trailing zeros would not count.
func tpmAuth(o *TPMOptions) ([]byte, error) {
	if o.AuthFile == "" {
		return nil, nil
	}
	text, err := readToken(o.AuthFile)
	if err != nil {
		return nil, err
	}
	if len(text) > 32 {
		return nil, fmt.Errorf("read %s: an authorization value has at most 32 bytes", o.AuthFile)
	}
	return []byte(strings.TrimRight(text, "\x00")), nil
}

// strictCBOR decodes one small item that holds nothing optional.
func strictCBOR(raw []byte, v any) error {
	mode, err := cbor.DecOptions{
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, MaxNestedLevels: 4, MaxArrayElements: 32,
	}.DecMode()
	if err != nil {
		return fmt.Errorf("choose strict CBOR: %w", err)
	}
	return mode.Unmarshal(raw, v)
}
