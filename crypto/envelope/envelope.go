// Package envelope is the wire format of protected data, and its opener.
//
// Mental model: a gateway has a data key in memory and never a key that could
// open what it sent. For each data key it publishes one grant, a COSE_Sign1
// (RFC 9052) in which the data key is encrypted to each recipient by HPKE (RFC
// 9180). Under the data key it sends sealed messages (COSE_Encrypt0, or the
// same bytes in a JSON string) and documents that keep their shape: JSON
// objects in which single values are encrypted, with a trailer as their last
// member "_sg" that carries the header, the ciphertexts and a tag over the
// whole document; and other documents, of any format, in which a token stands
// for each encrypted value, the first with what a trailer has.
// docs/formats-envelope.md has every byte.
//
// The sending side: a [Sealer] hands out a [Lease] for each message, and the
// lease seals it. The data key changes before any of its limits is passed, also
// across goroutines, because a lease reserves what it will use.
//
// The receiving side: an [Opener] takes a topic and a payload and returns what
// was there before protection, or an error with a Reason. It never returns part
// of what one of its audiences may read.
//
// A header, a grant and a trailer are deterministic CBOR and canonical
// base64url: whatever is accepted has one encoding.
//
// What the package does not do: it does not decide what is protected (package
// policy), edit documents (package protect), store or deliver grants (package
// spool and the corridor), or keep an opener's state on disk; it knows no
// network. It hides neither that a message was sent, when, by which gateway and
// on which topic, nor its grade, the names of encrypted fields and roughly how
// long they are. A recipient of a data key can forge messages under it, which
// is why messages for more than one audience are signed. A data key is wrapped
// for ever: revoking a recipient does not reach what it could open before.
package envelope
