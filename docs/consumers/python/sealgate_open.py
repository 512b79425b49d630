# SPDX-License-Identifier: MIT-0
"""Opens what Sealgate gateways send, as docs/formats-envelope.md says, in archive mode: replay is unchecked."""
import hmac, json
from cbor2 import dumps
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sealgate_document import open_document, places
from sealgate_format import AEADS, Refused, decrypt, need, parse_grant, parse_header, sha, unb64, uncbor
from sealgate_tokens import MARK, open_tokens, unpack

LIMIT, MALFORMED = 16 << 20, (ValueError, LookupError, TypeError, AttributeError, RecursionError, EOFError, OverflowError)


class Opener:
    """keys: private keys of sealgate_keys. gateways: {name: [public signing key]}; None leaves the origin unverified.
    signed: every message must be signed by its gateway itself. sealed: all must be sealed whole."""

    def __init__(self, keys, gateways=None, signed=False, sealed=False):
        self.keys, self.gateways, self.signed, self.sealed = {k.rid: k for k in keys}, gateways, signed, sealed
        self.grants = {}  # by kid, the oldest first

    def open(self, topic, message):
        """What a message was before protection, and the topic it was published on. topic: what it was received on,
        or None if that is not known. Raises Refused."""
        try:
            need(len(message) <= LIMIT)
            opened = self.open_sealed(message) if message[:2] == b"\xd0\x83" else self.open_document(message)
        except MALFORMED:
            raise Refused("malformed") from None
        need(topic is None or opened["published_topic"] == topic, "topic")
        return opened

    def add_grant(self, raw):
        """Takes a grant that was delivered on its own: its first bytes are d2 84."""
        try:
            self.admit(parse_grant(raw))
        except MALFORMED:
            raise Refused("malformed") from None

    def verify(self, g, signed=None, signature=None):
        """That the key which signed grant g is one of the gateway's, and signed this, too."""
        known = [k for k in self.gateways.get(g["gateway"], []) if sha(k)[:16] == g["signer"]]
        need(known, "origin")
        try:
            signed is None or Ed25519PublicKey.from_public_bytes(known[0]).verify(signature, signed)
        except InvalidSignature:
            raise Refused("bad_signature") from None

    def admit(self, g):
        need(g["alg"] in AEADS, "algorithm")
        self.gateways is None or self.verify(g, g["signed"], g["signature"])
        g["dek"] = None  # another audience's
        for rid, wrapped in g["wraps"]:
            if rid in self.keys and g["dek"] is None:
                try:
                    g["dek"] = self.keys[rid].unwrap(dumps(["sg1/dek", g["gateway"], g["boot"], g["alg"], rid]), wrapped)
                except (InvalidTag, ValueError):
                    raise Refused("grant") from None
                need(hmac.compare_digest(hmac.digest(g["dek"], dumps(["sg1/commit", g["alg"]]), "sha256"), g["commitment"]), "grant")
        if len(self.grants) >= 4096:
            del self.grants[next(iter(self.grants))]
        self.grants[g["kid"]] = g
        return g

    def grants_of(self, facts, alg, kids, inline):
        """The grant of each key of a message. Each that travels inside must be of one of its keys, in their order."""
        need(alg in AEADS, "algorithm")
        found = []
        for kid in kids:
            g = self.grants.get(kid)
            if inline:
                fresh = g if g and g["raw"] == inline[0] else parse_grant(inline[0])
                if fresh["kid"] == kid:
                    g, inline = fresh if fresh is g else self.admit(fresh), inline[1:]
            need(g, "unknown_key")
            need((g["gateway"], g["boot"], g["alg"]) == (facts["gateway"], facts["boot"], alg), "grant")
            self.gateways is None or self.verify(g)
            need(facts["issued_at"] <= g["exp"], "expired")
            found.append(g)
        need(not inline)
        need(any(g["dek"] for g in found), "no_recipient")
        return found

    def origin(self, g, signed, signature, context="sg1/sign"):
        if self.gateways is None or not signature:
            need(not self.signed, "origin" if self.gateways is None else "bad_signature")
            return "unverified" if self.gateways is None else "key"
        self.verify(g, dumps([context, sha(signed)]), signature)
        return "signed"

    def open_sealed(self, raw):
        header, extra, ciphertext = uncbor(raw[1:], list, 3, 3)
        facts, alg, kids, _, _ = parse_header(header, False)
        need(extra.keys() <= {5, -70007, -70008} and len(extra[5]) == 12 and len(extra.get(-70008, bytes(64))) == 64)
        (g,) = self.grants_of(facts, alg, kids, [extra[-70007]] if -70007 in extra else [])
        plain = decrypt(g, extra[5] + ciphertext, dumps(["Encrypt0", header, b"sg1/payload"]))
        origin = self.origin(g, dumps([header, extra[5], ciphertext]), extra.get(-70008))
        payload, *real, padding = uncbor(plain, list, 2, 3)
        need(type(payload) is bytes and not padding.strip(b"\0") and all(list(r) == [1] for r in real))
        return dict(facts, payload=payload, topic=real[0][1] if real else facts["published_topic"], protection="sealed", origin=origin)

    def open_document(self, raw):
        raw, pack = unpack(raw)
        try:
            text = raw.decode()
            spans, count = places(text)
            tokens = spans[()][2] != "{"
        except (ValueError, RecursionError):
            need(MARK in raw or b'"_sg"' in raw, "downgrade")
            need(tokens := MARK in raw)
        opened = self.open_tokens(raw) if tokens and MARK in raw else self.open_json(text, spans, count)
        need(pack is bytes or opened["protection"] == "fields")
        return dict(opened, payload=pack(opened["payload"]))

    def open_tokens(self, raw):
        need(not self.sealed, "downgrade")
        return open_tokens(self, raw)

    def open_json(self, text, spans, count):
        need(count, "downgrade")
        need(count == 1 and ("_sg",) in spans)
        value = json.loads(text[slice(*spans[("_sg",)][:2])])
        if value.startswith("1s."):
            need(len(spans[()][3]) == 1 and (inner := unb64(value[3:]))[:1] == b"\xd0")
            return self.open_sealed(inner)
        need(value.startswith("1."), "algorithm")
        need(not self.sealed, "downgrade")
        return open_document(self, text, spans, value)
