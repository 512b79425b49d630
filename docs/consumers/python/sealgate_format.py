# SPDX-License-Identifier: MIT-0
"""The parts of docs/formats-envelope.md: base64url, CBOR, headers and grants, read strictly."""
import base64, hashlib, re
from cbor2 import dumps, loads
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

AEADS = {3: AESGCM, 24: ChaCha20Poly1305}


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


def parse_header(raw, document, tokens=False):
    h = uncbor(raw, dict, 7, 64)
    (boot, stream, seq), claims, fields, kids = h[-70003], h[15], h.get(-70005, []), [h[4]] + h.get(-70006, [])
    need(len(raw) <= 1 << 18 and 2 not in h and list(claims) == [1, 6, 7] and len(claims[7]) == 16 and len(stream) == 3)
    need((-70005 in h) == document and len(fields) <= 1024 and len(set(kids)) == len(kids) <= (16 if document else 1))
    need(not document or {key for _, key in fields} == set(range(len(kids))) and all(re.fullmatch("(/([^~/]|~[01])*)*", p) for p, _ in fields))
    paths = [tuple(t.replace("~1", "/").replace("~0", "~") for t in p[1:].split("/")) for p, _ in fields]
    inner = {p[:i] for p in paths for i in range(len(p))}
    need(tokens or len(set(paths)) == len(paths) and not inner & set(paths) and all(p for p, _ in fields))
    need(all(p[0] != "_sg" for p in paths))
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
