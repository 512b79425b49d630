package custody

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// DefaultCounter is the index of the counter in the TPM's non-volatile memory:
// one of those that belong to the owner (TCG Registry of Reserved TPM 2.0
// Handles and Localities, section 2.2).
const DefaultCounter = 0x01805347

// Counter is a number in a TPM that only rises, also when its index is removed
// and made again. Who restores an old copy of a disk can't restore it.
//
// It has no secret: who may use the TPM may raise it, which is noticed, but
// never lower it.
type Counter struct {
	device string
	index  tpm2.TPMHandle
}

// NewCounter returns the counter at that index of a TPM. Nothing is opened yet.
func NewCounter(opts TPMOptions, index uint32) *Counter {
	return &Counter{opts.Device, tpm2.TPMHandle(index)}
}

// Read returns the number. ErrMissing says that there is no counter.
func (c *Counter) Read() (n uint64, err error) {
	err = c.with(func(x *index) error {
		n, err = x.read()
		return err
	})
	return n, err
}

// Raise adds one and returns the number.
func (c *Counter) Raise() (n uint64, err error) {
	err = c.with(func(x *index) error {
		if err := x.raise(); err != nil {
			return err
		}
		n, err = x.read()
		return err
	})
	return n, err
}

// Make makes the counter where there is none, and returns the number.
func (c *Counter) Make() (n uint64, err error) {
	n, err = c.Read()
	if !errors.Is(err, ErrMissing) {
		return n, err
	}
	t, err := openTPM(c.device)
	if err != nil {
		return 0, err
	}
	_, err = tpm2.NVDefineSpace{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
		PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
			NVIndex: c.index,
			NameAlg: tpm2.TPMAlgSHA256,
			Attributes: tpm2.TPMANV{
				OwnerWrite: true, OwnerRead: true, AuthWrite: true, AuthRead: true,
				NT: tpm2.TPMNTCounter, NoDA: true,
			},
			DataSize: 8,
		}),
	}.Execute(t)
	if err = errors.Join(err, t.Close()); err != nil {
		return 0, explain("make counter", err)
	}
	return c.Raise() // it has no value before the first time
}

// index is the counter, found, in an open TPM.
type index struct {
	tpm  transport.TPM
	srk  *root
	auth tpm2.AuthHandle
}

func (c *Counter) with(do func(*index) error) error {
	t, err := openTPM(c.device)
	if err != nil {
		return err
	}
	defer t.Close()
	public, err := tpm2.NVReadPublic{NVIndex: c.index}.Execute(t)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return fmt.Errorf("%w: the TPM has no counter at 0x%08x", ErrMissing, uint32(c.index))
	}
	if err != nil {
		return explain("find counter", err)
	}
	if info, err := public.NVPublic.Contents(); err != nil || info.Attributes.NT != tpm2.TPMNTCounter {
		return fmt.Errorf("%w: what the TPM has at 0x%08x is no counter; choose another index", ErrRefused, uint32(c.index))
	}
	srk, err := openRoot(t)
	if err != nil {
		return err
	}
	defer srk.close()
	// The session proves that the answer comes from the TPM.
	session := tpm2.HMAC(tpm2.TPMAlgSHA256, 16, srk.salted())
	return do(&index{tpm: t, srk: srk, auth: tpm2.AuthHandle{Handle: c.index, Name: public.NVName, Auth: session}})
}

func (x *index) named() tpm2.NamedHandle {
	return tpm2.NamedHandle{Handle: x.auth.Handle, Name: x.auth.Name}
}

func (x *index) read() (uint64, error) {
	// The first raise changes an attribute and so the name.
	public, err := tpm2.NVReadPublic{NVIndex: x.auth.Handle}.Execute(x.tpm)
	if err != nil {
		return 0, explain("find counter", err)
	}
	x.auth.Name = public.NVName
	out, err := tpm2.NVRead{AuthHandle: x.auth, NVIndex: x.named(), Size: 8}.Execute(x.tpm)
	if err != nil {
		return 0, explain("read counter", err)
	}
	if len(out.Data.Buffer) != 8 {
		return 0, fmt.Errorf("%w: the TPM's counter has %d bytes", ErrUnavailable, len(out.Data.Buffer))
	}
	return binary.BigEndian.Uint64(out.Data.Buffer), nil
}

func (x *index) raise() error {
	if _, err := (tpm2.NVIncrement{AuthHandle: x.auth, NVIndex: x.named()}).Execute(x.tpm); err != nil {
		return explain("raise counter", err)
	}
	return nil
}
