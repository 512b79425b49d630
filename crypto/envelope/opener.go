package envelope

import (
	"bytes"
	"container/list"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

// Mode says whether an Opener remembers what it has seen.
type Mode uint8

// The modes. The zero value protects.
const (
	Live    Mode = iota // stateful: replays are refused; needs Verifiers
	Archive             // stateless: replay is unchecked
)

// Protection is how a message was protected.
type Protection uint8

// The protections.
const (
	ProtectionNone   Protection = iota // in clear
	ProtectionFields                   // a document with encrypted fields and a tag over the whole
	ProtectionSealed                   // sealed whole
)

// String returns "none", "fields" or "sealed".
func (p Protection) String() string { return [...]string{"none", "fields", "sealed"}[p] }

// Origin is what is known about who sealed a message.
type Origin uint8

// The origins.
const (
	OriginUnverified Origin = iota // nobody's signature was checked
	OriginKey                      // the gateway signed the grant of the key: authentic within one audience
	OriginSigned                   // the gateway signed this message
)

// String returns "unverified", "key" or "signed".
func (o Origin) String() string { return [...]string{"unverified", "key", "signed"}[o] }

// A Requirement is what an opener demands of a topic. The zero value refuses
// messages in clear and takes any protection.
type Requirement struct {
	AllowClear bool // messages in clear are passed on, unverified
	Sealed     bool // must be sealed whole
	Signed     bool // must be signed by the gateway itself; never required because a header says so
}

// OpenerOptions say who opens, and what is accepted.
type OpenerOptions struct {
	Keys []*crypto.RecipientKey
	Mode Mode
	// Verifiers returns the signing keys that belong to a gateway, none for an
	// unknown one. It is asked again for every message, so that a withdrawn key
	// ends at once, and concurrently. nil: nothing is verified, and
	// Opened.Origin says so.
	Verifiers func(gateway string) []*crypto.Verifier
	// Require returns what messages received on a topic must have; nil: the
	// zero Requirement for all.
	Require func(topic string) Requirement
	// PublishedTopic maps a topic as received to the one the gateway published
	// to, for brokers that add a prefix; nil: they are the same.
	PublishedTopic func(received string) string
	// AllowReserialized accepts JSON objects that were written anew on their way,
	// or edited around their encrypted fields: Opened.Verified is then false.
	AllowReserialized bool
	Algs              []crypto.Alg // allowed algorithms; nil: all of the format

	MaxBytes   int // of one message, default 16 MiB
	MaxGrants  int // cached grants with their keys, default 4096
	Window     int // Live: messages remembered of each stream, default 1024
	MaxStreams int // Live: streams remembered, default 16,384; should exceed gateways × lanes × shards
}

// An Opener opens what Sealers made. It is safe for concurrent use.
type Opener struct {
	options OpenerOptions
	keys    map[crypto.RID]*crypto.RecipientKey
	docs    sync.Pool // of *payload.Document

	mu     sync.Mutex // guards the cache
	grants map[crypto.KID]*list.Element
	recent *list.List // of *cachedGrant, the latest used first

	replay *replayState // nil in Archive
}

// A cachedGrant is a grant that was checked, with its key if it is for us.
type cachedGrant struct {
	*grant
	raw []byte
	dek *crypto.DEK // nil: another audience's
}

// NewOpener checks the options.
func NewOpener(o OpenerOptions) (*Opener, error) {
	if len(o.Keys) == 0 {
		return nil, errors.New("opener needs a recipient key")
	}
	if o.Mode > Archive {
		return nil, fmt.Errorf("opener mode %d is unknown", o.Mode)
	}
	if o.Mode == Live && o.Verifiers == nil {
		return nil, errors.New("live opener needs verifiers: without them anybody can move a gateway's replay window")
	}
	for _, n := range []*int{&o.MaxBytes, &o.MaxGrants, &o.Window, &o.MaxStreams} {
		if *n < 0 {
			return nil, errors.New("opener limits must not be negative")
		}
	}
	setDefault(&o.MaxBytes, 16<<20)
	setDefault(&o.MaxGrants, 4096)
	setDefault(&o.Window, 1024)
	setDefault(&o.MaxStreams, 16384)
	if o.Algs == nil {
		o.Algs = []crypto.Alg{crypto.AlgAES256GCM, crypto.AlgChaCha20Poly1305}
	}
	op := &Opener{
		options: o,
		keys:    make(map[crypto.RID]*crypto.RecipientKey, len(o.Keys)),
		grants:  map[crypto.KID]*list.Element{},
		recent:  list.New(),
	}
	for _, k := range o.Keys {
		op.keys[k.Recipient().RID()] = k
	}
	if o.Mode == Live {
		op.replay = newReplayState(o.Window, o.MaxStreams)
	}
	op.docs.New = func() any { return new(payload.Document) }
	return op, nil
}

func setDefault(n *int, value int) {
	if *n == 0 {
		*n = value
	}
}

// An OpenedField is one encrypted field of a document.
type OpenedField struct {
	Pointer string
	KID     crypto.KID
	Opened  bool // false: another audience's; the document has what was left in its place
}

// Opened is a message as it was before protection, and what is known about it.
type Opened struct {
	Payload    []byte // owned by the caller; of a message in clear, the payload received
	Topic      string // the real topic if it travelled inside, else the published one
	Protection Protection
	Verified   bool // every byte is as it was sealed; false in clear or re-serialized
	Origin     Origin
	Freshness  Freshness
	Header     Header        // zero for a message in clear
	Fields     []OpenedField // documents only, in the order of the header
}

// Open opens one message as received. On error nothing of it may be used; the
// error is an *Error with a Reason. An error with ReasonUnknownKey may go away
// when the grant arrives (AddGrant).
//
// In Archive mode an empty topic says that it is not known what the message was
// received on. Opened.Topic is then what the gateway published it to, and that
// it was not moved from another topic is unchecked.
//
// In Live mode a message that is opened is remembered; see State for what must
// be stored together with the output.
func (o *Opener) Open(topic string, message []byte) (Opened, error) {
	if len(message) > o.options.MaxBytes {
		return Opened{}, refuse(ReasonMalformed, "message")
	}
	var require Requirement
	if o.options.Require != nil {
		require = o.options.Require(topic)
	}
	out, err := o.open(message, require)
	if err != nil {
		return Opened{}, err
	}
	published := topic
	switch {
	case topic == "" && o.options.Mode == Archive:
		published = out.Header.Topic
	case o.options.PublishedTopic != nil:
		published = o.options.PublishedTopic(topic)
	}
	if out.Protection == ProtectionNone {
		if !require.AllowClear || require.Sealed || require.Signed {
			return Opened{}, refuse(ReasonDowngrade, "message in clear")
		}
		out.Topic = published
		return out, nil
	}
	if out.Header.Topic != published {
		return Opened{}, refuse(ReasonTopic, "message")
	}
	if out.Topic == "" {
		out.Topic = published
	}
	if o.replay != nil {
		if out.Freshness, err = o.replay.check(&out.Header, message); err != nil {
			return Opened{}, err
		}
	}
	return out, nil
}

func (o *Opener) open(message []byte, require Requirement) (Opened, error) {
	if len(message) >= 2 && message[0] == tagEncrypt0 && message[1] == majorArray<<5|3 {
		return o.openSealed(message, require)
	}
	d := o.docs.Get().(*payload.Document)
	defer o.releaseDoc(d)
	why := payload.Parse(d, "", message, o.limits())
	if why != payload.ReasonNone || !d.TopLevelObject() {
		reserved := why == payload.ReasonNone && d.Reserved
		inside, damaged := d.Unpack(message, o.limits())
		switch {
		case damaged == payload.ReasonNone && bytes.Contains(inside, []byte(payload.TokenMark)):
			return o.openTokens(d, inside, require)
		case reserved, why != payload.ReasonNone && looksLikeTrailer(message):
			return Opened{}, refuse(ReasonMalformed, "document")
		}
		return Opened{Payload: message, Freshness: Unchecked}, nil
	}
	at := trailerMember(d)
	if at < 0 {
		if d.Reserved {
			return Opened{}, refuse(ReasonMalformed, "document")
		}
		return Opened{Payload: message, Freshness: Unchecked}, nil
	}
	text := d.Text(at)
	switch {
	case d.Fields[at].Kind != payload.KindString:
		return Opened{}, refuse(ReasonMalformed, "trailer")
	case bytes.HasPrefix(text, []byte(versionSealed)):
		if int(at) != len(d.Fields)-1 || at != d.Root+1 || d.Packed() {
			return Opened{}, refuse(ReasonMalformed, "sealed message")
		}
		raw, ok := decode(text[len(versionSealed):], len(text))
		if !ok || len(raw) == 0 || raw[0] != tagEncrypt0 {
			return Opened{}, refuse(ReasonMalformed, "sealed message")
		}
		return o.openSealed(raw, require)
	case bytes.HasPrefix(text, []byte(versionFields)):
		if require.Sealed {
			return Opened{}, refuse(ReasonDowngrade, "document")
		}
		return o.openDocument(d, at, require)
	}
	return Opened{}, refuse(ReasonAlgorithm, "trailer")
}

func (o *Opener) releaseDoc(d *payload.Document) {
	d.Raw = nil
	o.docs.Put(d)
}

func (o *Opener) limits() payload.Limits {
	return payload.Limits{Bytes: o.options.MaxBytes, Fields: 1 << 17}
}

// pack packs what was restored as the message was.
func (o *Opener) pack(d *payload.Document, out *Opened) error {
	packed, err := d.Pack(nil, out.Payload)
	if err != nil {
		return refuse(ReasonMalformed, "document")
	}
	out.Payload = packed
	return nil
}

// looksLikeTrailer tells a damaged document from a payload that never was one,
// so that the first is never passed on as if it were in clear.
func looksLikeTrailer(message []byte) bool {
	return bytes.Contains(message, []byte(`"`+trailerKey+`"`))
}

// trailerMember returns the field of the top-level member "_sg", or -1.
func trailerMember(d *payload.Document) int32 {
	if !d.Reserved || !d.TopLevelObject() {
		return -1
	}
	for i := int32(len(d.Fields)) - 1; i > d.Root; i-- { // it is the last member, as a rule
		if d.Fields[i].Parent == d.Root && string(d.Key(i)) == trailerKey {
			return i
		}
	}
	return -1
}

// AddGrant takes a grant that was delivered on its own, and returns its KID. A
// grant for other recipients is remembered as such and is no error.
func (o *Opener) AddGrant(raw []byte) (crypto.KID, error) {
	raw = slices.Clone(raw)
	g, ok := parseGrant(raw)
	if !ok {
		return crypto.KID{}, refuse(ReasonMalformed, "grant")
	}
	if _, err := o.admit(g, raw); err != nil {
		return crypto.KID{}, err
	}
	return g.kid, nil
}

// admit checks a grant, which was parsed from raw, and caches both.
func (o *Opener) admit(g *grant, raw []byte) (*cachedGrant, error) {
	if !slices.Contains(o.options.Algs, g.alg) {
		return nil, refuse(ReasonAlgorithm, "grant")
	}
	if o.options.Verifiers != nil {
		v := o.verifier(g)
		if v == nil {
			return nil, refuse(ReasonOrigin, "grant")
		}
		if v.Verify(grantToBeSigned(g.protected, g.payload), g.signature) != nil {
			return nil, refuse(ReasonBadSignature, "grant")
		}
	}
	dek, err := g.unwrap(o.keys)
	if err != nil {
		return nil, err
	}
	c := &cachedGrant{grant: g, raw: raw, dek: dek}
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.grants[g.kid]; e != nil {
		e.Value = c
		o.recent.MoveToFront(e)
		return c, nil
	}
	o.grants[g.kid] = o.recent.PushFront(c)
	if o.recent.Len() > o.options.MaxGrants {
		oldest := o.recent.Remove(o.recent.Back()).(*cachedGrant)
		delete(o.grants, oldest.kid)
	}
	return c, nil
}

// verifier returns the gateway's signing key that the grant names, or nil.
func (o *Opener) verifier(g *grant) *crypto.Verifier {
	for _, v := range o.options.Verifiers(g.gateway) {
		if v.KeyID() == g.signer {
			return v
		}
	}
	return nil
}

func (o *Opener) cached(kid crypto.KID) *cachedGrant {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.grants[kid]
	if e == nil {
		return nil
	}
	o.recent.MoveToFront(e)
	return e.Value.(*cachedGrant)
}

// grantsFor returns the grant of each key of the header, from the message or
// from the cache, after checking that they belong to it. Every grant in the
// message must be of one of its keys.
func (o *Opener) grantsFor(h *Header, inline [][]byte) ([]*cachedGrant, error) {
	if !slices.Contains(o.options.Algs, h.Alg) {
		return nil, refuse(ReasonAlgorithm, "message")
	}
	found := make([]*cachedGrant, len(h.KIDs))
	used := 0
	for i, kid := range h.KIDs {
		g := o.cached(kid)
		if used < len(inline) {
			fresh, err := o.inlineGrant(g, kid, inline[used])
			if err != nil {
				return nil, err
			}
			if fresh != nil {
				g = fresh
				used++
			}
		}
		if g == nil {
			return nil, refuse(ReasonUnknownKey, "message")
		}
		if g.gateway != h.Gateway || g.boot != h.Boot || g.alg != h.Alg {
			return nil, refuse(ReasonGrant, "message")
		}
		if o.options.Verifiers != nil && o.verifier(g.grant) == nil {
			return nil, refuse(ReasonOrigin, "message")
		}
		if h.IssuedAt.After(g.expires) {
			return nil, refuse(ReasonExpired, "message")
		}
		found[i] = g
	}
	if used != len(inline) {
		return nil, refuse(ReasonMalformed, "message")
	}
	if !slices.ContainsFunc(found, func(g *cachedGrant) bool { return g.dek != nil }) {
		return nil, refuse(ReasonNoRecipient, "message")
	}
	return found, nil
}

// inlineGrant returns the grant that travels in a message, if it is the one of
// kid: the cached one if that has the same bytes, else a new one.
func (o *Opener) inlineGrant(cached *cachedGrant, kid crypto.KID, raw []byte) (*cachedGrant, error) {
	if cached != nil && bytes.Equal(cached.raw, raw) {
		return cached, nil
	}
	raw = slices.Clone(raw)
	g, ok := parseGrant(raw)
	if !ok {
		return nil, refuse(ReasonMalformed, "grant")
	}
	if g.kid != kid {
		return nil, nil
	}
	return o.admit(g, raw)
}

// verifySignature checks the message's own signature and returns the origin.
func (o *Opener) verifySignature(g *cachedGrant, require Requirement, sig []byte, toBeSigned func() []byte) (Origin, error) {
	if o.options.Verifiers == nil {
		if require.Signed {
			return 0, refuse(ReasonOrigin, "message")
		}
		return OriginUnverified, nil
	}
	if len(sig) == 0 {
		if require.Signed {
			return 0, refuse(ReasonBadSignature, "message")
		}
		return OriginKey, nil
	}
	v := o.verifier(g.grant)
	if v == nil {
		return 0, refuse(ReasonOrigin, "message")
	}
	if v.Verify(toBeSigned(), sig) != nil {
		return 0, refuse(ReasonBadSignature, "message")
	}
	return OriginSigned, nil
}

// openSealed opens a COSE_Encrypt0.
func (o *Opener) openSealed(message []byte, require Requirement) (Opened, error) {
	e, ok := parseEncrypt0(message)
	if !ok {
		return Opened{}, refuse(ReasonMalformed, "sealed message")
	}
	h, ok := parseHeader(e.header, false)
	if !ok {
		return Opened{}, refuse(ReasonMalformed, "header")
	}
	var inline [][]byte
	if e.grant != nil {
		inline = [][]byte{e.grant}
	}
	grants, err := o.grantsFor(&h, inline)
	if err != nil {
		return Opened{}, err
	}
	blob := make([]byte, 0, len(e.iv)+len(e.ciphertext))
	blob = append(append(blob, e.iv...), e.ciphertext...)
	plain, err := grants[0].dek.Open(nil, blob, appendEncStructure(nil, e.header))
	if err != nil {
		return Opened{}, refuse(ReasonBadTag, "sealed message")
	}
	origin, err := o.verifySignature(grants[0], require, e.signature, func() []byte {
		return messageToBeSigned(e.header, e.iv, e.ciphertext)
	})
	if err != nil {
		return Opened{}, err
	}
	out := Opened{Protection: ProtectionSealed, Verified: true, Origin: origin, Freshness: Unchecked, Header: h}
	if out.Payload, out.Topic, ok = parsePlaintext(plain); !ok {
		return Opened{}, refuse(ReasonMalformed, "sealed message")
	}
	return out, nil
}

type encrypt0 struct{ header, iv, grant, signature, ciphertext []byte }

func parseEncrypt0(b []byte) (e encrypt0, ok bool) {
	c := &cursor{b: b[1:]} // the tag was seen
	c.array(3, 3)
	e.header = c.bytes(1, maxHeader)
	n := c.pairs(1, 3)
	var last labels
	c.is(c.label(&last) == labelIV)
	e.iv = c.bytes(crypto.NonceSize, crypto.NonceSize)
	for range n - 1 {
		switch c.label(&last) {
		case labelGrant:
			e.grant = c.bytes(1, maxGrant)
		case labelSignature:
			e.signature = c.bytes(crypto.SignatureSize, crypto.SignatureSize)
		default:
			c.fail()
		}
	}
	e.ciphertext = c.bytes(crypto.TagSize, len(c.b))
	return e, c.done()
}

// parsePlaintext reads CBOR [payload, {1: real topic}?, padding].
func parsePlaintext(b []byte) (message []byte, realTopic string, ok bool) {
	c := &cursor{b: b}
	n := c.array(2, 3)
	message = c.bytes(0, len(b))
	if n == 3 {
		var last labels
		c.pairs(1, 1)
		c.is(c.label(&last) == 1)
		realTopic = c.text(1, maxText)
	}
	for _, x := range c.bytes(0, len(b)) {
		c.is(x == 0)
	}
	return message, realTopic, c.done()
}
