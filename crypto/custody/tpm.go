package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/sealgate/sealgate/crypto"
)

// TPMOptions configures the custodian "tpm" and the counter.
type TPMOptions struct {
	Device string // /dev/tpmrm0, or the path of a Unix socket that speaks plain TPM commands
	PCRs   []int  // registers of the SHA-256 bank that must be as they were; empty: none
	// AuthFile holds a secret that the TPM demands, too, and whose guesses it
	// bounds. Empty: none.
	AuthFile string
}

const tpmBlobVersion = 1

// tpmBlob is what the record keeps: CBOR. The key is sealed under the ECC
// storage root key of the owner hierarchy (TCG TPM v2.0 Provisioning Guidance,
// section 7.5.1), which is made anew from the TPM's seed each time. SRK is its
// name: another one means another TPM, or a cleared one.
type tpmBlob struct {
	_       struct{} `cbor:",toarray"`
	Version uint
	SRK     []byte
	PCRs    []int
	Auth    bool // an authorization value is demanded
	Public  []byte
	Private []byte
}

// tpm seals the key in a TPM 2.0.
func tpm() Custodian {
	return Custodian{
		Kind: "tpm",
		Doc:  "a TPM 2.0: protects a disk without its machine; with the whole machine a thief can start it, and with PCR 7 only as it was booted",
		Make: func(_ context.Context, opts *Options, gateway string) (*crypto.SecretKey, []byte, error) {
			key, err := crypto.NewSecretKey()
			if err != nil {
				return nil, nil, err
			}
			plain, err := bound(key, gateway)
			if err != nil {
				return nil, nil, err
			}
			blob, err := sealTPM(&opts.TPM, plain)
			return key, blob, err
		},
		Open: func(_ context.Context, opts *Options, gateway string, _ [8]byte, blob []byte) (*crypto.SecretKey, error) {
			raw, err := unsealTPM(&opts.TPM, blob)
			if err != nil {
				return nil, err
			}
			return unbound(raw, gateway)
		},
	}
}

// root is the storage root key, loaded. close flushes it.
type root struct {
	tpm    transport.TPM
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
	public tpm2.TPMTPublic
}

func openRoot(t transport.TPM) (*root, error) {
	r, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
		InPublic:      tpm2.New2B(tpm2.ECCSRKTemplate),
	}.Execute(t)
	if err != nil {
		return nil, explain("make storage root key", err)
	}
	public, err := r.OutPublic.Contents()
	if err != nil {
		return nil, fmt.Errorf("read storage root key: %w", err)
	}
	return &root{tpm: t, handle: r.ObjectHandle, name: r.Name, public: *public}, nil
}

func (r *root) close() {
	// A handle that can't be flushed goes with the connection to the resource
	// manager; there is nothing else to do about it.
	_, _ = tpm2.FlushContext{FlushHandle: r.handle}.Execute(r.tpm)
}

// parent authorizes what is made or loaded below the root key, and encrypts it
// both ways: the session's salt is encrypted to the root key, so that who
// listens on the bus learns nothing.
func (r *root) parent() tpm2.AuthHandle {
	session := tpm2.HMAC(tpm2.TPMAlgSHA256, 16, r.salted(), tpm2.AESEncryption(128, tpm2.EncryptInOut))
	return tpm2.AuthHandle{Handle: r.handle, Name: r.name, Auth: session}
}

func (r *root) salted() tpm2.AuthOption { return tpm2.Salted(r.handle, r.public) }

func sealTPM(o *TPMOptions, plain []byte) ([]byte, error) {
	auth, err := tpmAuth(o)
	if err != nil {
		return nil, err
	}
	t, err := openTPM(o.Device)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	srk, err := openRoot(t)
	if err != nil {
		return nil, err
	}
	defer srk.close()

	object := tpm2.TPMTPublic{
		Type:    tpm2.TPMAlgKeyedHash,
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true,
			UserWithAuth: len(o.PCRs) == 0, // else only by policy
			NoDA:         len(auth) == 0,   // there is nothing to guess
		},
	}
	if len(o.PCRs) > 0 {
		digest, err := policyDigest(t, o.PCRs)
		if err != nil {
			return nil, err
		}
		object.AuthPolicy = digest
	}
	made, err := tpm2.Create{
		ParentHandle: srk.parent(),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			UserAuth: tpm2.TPM2BAuth{Buffer: auth},
			Data:     tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: plain}),
		}},
		InPublic: tpm2.New2B(object),
	}.Execute(t)
	if err != nil {
		return nil, explain("seal", err)
	}
	return deterministic(tpmBlob{
		Version: tpmBlobVersion, SRK: srk.name.Buffer, PCRs: o.PCRs, Auth: len(auth) > 0,
		Public: tpm2.Marshal(made.OutPublic), Private: tpm2.Marshal(made.OutPrivate),
	})
}

var errTPMBlob = fmt.Errorf("%w: what the custody record keeps for the TPM is not of a known version; restore the record from the backup", ErrOther)

func unsealTPM(o *TPMOptions, raw []byte) ([]byte, error) {
	b, public, private, err := parseTPMBlob(raw)
	if err != nil {
		return nil, err
	}
	var auth []byte
	if b.Auth {
		if auth, err = tpmAuth(o); err != nil {
			return nil, err
		}
		if len(auth) == 0 {
			return nil, fmt.Errorf("%w: it was sealed with an authorization value; set custody.tpm.auth_file", ErrRefused)
		}
	}
	t, err := openTPM(o.Device)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	srk, err := openRoot(t)
	if err != nil {
		return nil, err
	}
	defer srk.close()
	if !bytes.Equal(srk.name.Buffer, b.SRK) {
		return nil, errCleared
	}
	object, err := tpm2.Load{ParentHandle: srk.parent(), InPublic: *public, InPrivate: *private}.Execute(t)
	if err != nil {
		return nil, explain("load", err)
	}
	defer func() { _, _ = tpm2.FlushContext{FlushHandle: object.ObjectHandle}.Execute(t) }()

	secrecy := []tpm2.AuthOption{srk.salted(), tpm2.AESEncryption(128, tpm2.EncryptOut), tpm2.Auth(auth)}
	session := tpm2.HMAC(tpm2.TPMAlgSHA256, 16, secrecy...)
	if len(b.PCRs) > 0 {
		session = tpm2.Policy(tpm2.TPMAlgSHA256, 16, pcrPolicy(b.PCRs), secrecy...)
	}
	out, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: object.ObjectHandle, Name: object.Name, Auth: session}}.Execute(t)
	if err != nil {
		return nil, explain("unseal", err)
	}
	return out.OutData.Buffer, nil
}

func parseTPMBlob(raw []byte) (*tpmBlob, *tpm2.TPM2BPublic, *tpm2.TPM2BPrivate, error) {
	var b tpmBlob
	if err := strictCBOR(raw, &b); err != nil || b.Version != tpmBlobVersion || checkPCRs(b.PCRs) != nil {
		return nil, nil, nil, errTPMBlob
	}
	public, err := tpm2.Unmarshal[tpm2.TPM2BPublic](b.Public)
	if err != nil {
		return nil, nil, nil, errTPMBlob
	}
	private, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](b.Private)
	if err != nil {
		return nil, nil, nil, errTPMBlob
	}
	return &b, public, private, nil
}

// pcrPolicy demands the registers' values and, because it always may, the
// authorization value: an empty one where there is none.
func pcrPolicy(pcrs []int) tpm2.PolicyCallback {
	return func(t transport.TPM, session tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
		if _, err := (tpm2.PolicyPCR{PolicySession: session, Pcrs: selection(pcrs)}).Execute(t); err != nil {
			return err
		}
		_, err := (tpm2.PolicyAuthValue{PolicySession: session}).Execute(t)
		return err
	}
}

func policyDigest(t transport.TPM, pcrs []int) (digest tpm2.TPM2BDigest, err error) {
	session, done, err := tpm2.PolicySession(t, tpm2.TPMAlgSHA256, 16, tpm2.Trial())
	if err != nil {
		return digest, explain("start policy", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := pcrPolicy(pcrs)(t, session.Handle(), tpm2.TPM2BNonce{}); err != nil {
		return digest, explain("read registers", err)
	}
	out, err := tpm2.PolicyGetDigest{PolicySession: session.Handle()}.Execute(t)
	if err != nil {
		return digest, explain("read policy", err)
	}
	return out.PolicyDigest, nil
}

func selection(pcrs []int) tpm2.TPMLPCRSelection {
	bits := make([]byte, 3)
	for _, p := range pcrs {
		bits[p/8] |= 1 << (p % 8)
	}
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: bits}}}
}

// checkPCRs allows 0 to 23, each once.
func checkPCRs(pcrs []int) error {
	seen := map[int]bool{}
	for _, p := range pcrs {
		if p < 0 || p > 23 || seen[p] {
			return fmt.Errorf("a TPM has PCRs 0 to 23, and each is named once: got %d", p)
		}
		seen[p] = true
	}
	return nil
}
