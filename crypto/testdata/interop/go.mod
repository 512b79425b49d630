// What other libraries make of our formats, and we of theirs. A module of its
// own: google/tink/go and tink-crypto/tink-go can't be linked together.
module github.com/sealgate/sealgate/crypto/testdata/interop

go 1.26.0

require (
	github.com/cloudflare/circl v1.6.5
	github.com/fxamacker/cbor/v2 v2.10.0
	github.com/google/tink/go v1.7.0
	google.golang.org/protobuf v1.27.1
)

require (
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/crypto v0.54.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
