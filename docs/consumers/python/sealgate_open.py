# SPDX-License-Identifier: MIT-0
"""Opens what Sealgate gateways send, as docs/formats-envelope.md says, in archive mode: replay is unchecked."""
import base64, hashlib, hmac, json, re
from cbor2 import dumps, loads
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from sealgate_document import SPACE, places, restore

AEADS, LIMIT, MALFORMED = {3: AESGCM, 24: ChaCha20Poly1305}, 16 << 20, (ValueError, LookupError, TypeError, AttributeError, RecursionError, EOFError, OverflowError)


class Refused(Exception):
    """A message that must not be used. Its text is the reason, a word that is safe to log."""


def need(ok, reason="malformed"):
    if not ok:
        raise Refused(reason)


def sha(raw):
    return hashlib.sha256(raw).digest()


def decrypt(g, blob, aad):
    try:
        return AEADS[g["alg"]](g["dek"]).decrypt(blob[:12], blob[12:], aad)
    except InvalidTag:
        raise Refused("bad_tag") from None


def unb64(text):
    """Base64url, canonical and without padding."""
    need(re.fullmatch("[A-Za-z0-9_-]*", text))
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(base64.urlsafe_b64encode(raw).rstrip(b"=") == text.encode())
    return raw


def uncbor(raw, kind, least, most):
    """An array or map of so many items in CBOR, encoded in the one way that is allowed."""
    value = loads(raw)
    need(type(value) is kind and least <= len(value) <= most and dumps(value, canonical=True) == raw)
    return value


def parse_header(raw, document):
    h = uncbor(raw, dict, 7, 64)
    (boot, stream, seq), claims, fields, kids = h[-70003], h[15], h.get(-70005, []), [h[4]] + h.get(-70006, [])
    need(len(raw) <= 1 << 18 and 2 not in h and list(claims) == [1, 6, 7] and len(claims[7]) == 16 and len(stream) == 3)
    need((-70005 in h) == document and len(fields) <= 1024 and len(set(kids)) == len(kids) <= (16 if document else 1))
    need(not document or {key for _, key in fields} == set(range(len(kids))) and all(re.fullmatch("(/([^~/]|~[01])*)+", p) for p, _ in fields))
    paths = [tuple(t.replace("~1", "/").replace("~0", "~") for t in p[1:].split("/")) for p, _ in fields]
    inner = {p[:i] for p in paths for i in range(len(p))}
    need(len(set(paths)) == len(paths) and not inner & set(paths) and all(p[0] != "_sg" for p in paths))
    facts = dict(gateway=claims[1], issued_at=claims[6], message_id=claims[7], grade=h[-70001], policy_version=h[-70002],
                 boot=boot, stream=stream, seq=seq, published_topic=h[-70004], content_type=h.get(3))
    return facts, h[1], kids, fields, paths


def parse_grant(raw):
    need(raw[:1] == b"\xd2" and len(raw) <= 1 << 18)
    protected, unprotected, payload, signature = uncbor(raw[1:], list, 4, 4)
    head = uncbor(protected, dict, 3, 3)
    version, alg, boot, _, commitment, wraps = uncbor(payload, list, 6, 6)
    rids, claims = [rid for rid, _ in wraps], head[15]
    need(head[1] == -19 and unprotected == {} and list(claims) == [1, 4, 6] and version == 1 and rids == sorted(set(rids)))
    return dict(raw=raw, kid=sha(payload), gateway=claims[1], exp=claims[4], signer=head[4], alg=alg, boot=boot, commitment=commitment,
                wraps=wraps, signature=signature, signed=dumps(["Signature1", protected, b"sg1/grant", payload]))


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
            opened = self.open_sealed(message) if message[:2] == b"\xd0\x83" else self.open_json(message)
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

    def origin(self, g, signed, signature):
        if self.gateways is None or not signature:
            need(not self.signed, "origin" if self.gateways is None else "bad_signature")
            return "unverified" if self.gateways is None else "key"
        self.verify(g, dumps(["sg1/sign", sha(signed)]), signature)
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

    def open_json(self, raw):
        try:
            text = raw.decode()
            spans, count = places(text)
        except (ValueError, RecursionError):
            need(b'"_sg"' in raw, "downgrade")
            raise
        need(count, "downgrade")
        need(count == 1 and ("_sg",) in spans)
        value = json.loads(text[slice(*spans[("_sg",)][:2])])
        if value.startswith("1s."):
            need(len(spans[()][3]) == 1 and (inner := unb64(value[3:]))[:1] == b"\xd0")
            return self.open_sealed(inner)
        need(value.startswith("1."), "algorithm")
        need(not self.sealed, "downgrade")
        return self.open_document(text, spans, value)

    def open_document(self, text, spans, value):
        _, header, inline, *ciphers, tags, signature = value.split(".")
        unsigned, header, signature = value[: len(value) - len(signature)], unb64(header), unb64(signature)
        untagged, tags = unsigned[: -len(tags) - 1], unb64(tags)
        facts, alg, kids, fields, paths = parse_header(header, True)
        need(len(ciphers) == len(fields) and len(tags) == 28 * len(kids) and len(signature) in (0, 64))
        grants = self.grants_of(facts, alg, kids, uncbor(unb64(inline), list, 0, 16))
        # What is hashed are the bytes as received: everything in front of the value, and the value up to there.
        start, end = spans[("_sg",)][:2]
        front, key = text[: start + 1], text[:start].rstrip(SPACE)[:-1].rstrip(SPACE)
        whole = key.endswith('"_sg"') and text[start:end] == '"' + value + '"' and not text[end:].strip(SPACE + "}")
        aad, origin = dumps(["sg1/doc", header, sha((front + untagged).encode())]), None
        try:
            whole and [decrypt(g, tags[28 * i : 28 * i + 28], aad) for i, g in enumerate(grants) if g["dek"]]
        except Refused:
            whole = False
        if whole:
            origin = self.origin(grants[0], (front + unsigned).encode(), signature)
        values, opened = [], {}
        for (pointer, key_index), path, cipher in zip(fields, paths, ciphers):
            g, blob = grants[key_index], unb64(cipher)
            need(len(blob) >= 60 and (len(blob) - 28).bit_count() == 1)
            plain = decrypt(g, blob, dumps(["sg1/field", header, pointer])).decode().rstrip(" ") if g["dek"] else None
            plain is None or places(plain)
            values.append((path, plain))
            opened[pointer] = plain is not None
        need(whole, "reserialized")
        before = key[:-5].rstrip(SPACE)
        cut = len(before) - 1 if before.endswith(",") else len(key) - 5
        payload = restore(text, spans, cut, end, values).encode()
        return dict(facts, payload=payload, topic=facts["published_topic"], protection="fields", origin=origin, fields=opened)
