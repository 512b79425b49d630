# SPDX-License-Identifier: MIT-0
"""Keys for sealgate_open: recipients' private keys with HPKE (RFC 9180), and gateways' public ones."""
import base64, hashlib, hmac, json
from cbor2 import dumps
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Key:
    """A recipient's private key. dh(enc) is all that it is used for: that may be done elsewhere, in a KMS. A key that is
    no Diffie-Hellman one has secret(enc) instead, which is the whole decapsulation of size bytes."""

    def __init__(self, kem, public, dh, secret=None, size=None):
        self.kem, self.public, self.dh, self.secret = kem.to_bytes(2, "big"), public, dh, secret
        self.size = size or len(public)
        self.rid = hashlib.sha256(dumps([kem, public])).digest()[:16]

    def unwrap(self, info, wrapped):
        """HPKE, base mode, single shot, no AAD: HKDF-SHA256, AES-256-GCM."""
        enc, ciphertext = wrapped[: self.size], wrapped[self.size :]
        suite = b"KEM" + self.kem

        def extract(salt, label, ikm):
            return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, "sha256")

        def expand(prk, label, context, n):
            return HKDFExpand(SHA256(), n, n.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context).derive(prk)

        if self.secret:
            shared = self.secret(enc)
        else:
            shared = expand(extract(b"", b"eae_prk", self.dh(enc)), b"shared_secret", enc + self.public, 32)
        suite = b"HPKE" + self.kem + b"\0\1\0\2"
        context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
        secret = extract(shared, b"secret", b"")
        aead = AESGCM(expand(secret, b"key", context, 32))
        return aead.decrypt(expand(secret, b"base_nonce", context, 12), ciphertext, b"")


def xwing(raw):
    """X-Wing (draft-connolly-cfrg-xwing-kem): ML-KEM-768 with X25519. Needs a cryptography that has ML-KEM."""
    from cryptography.hazmat.primitives.asymmetric import mlkem

    wide = hashlib.shake_256(raw).digest(96)
    m, x = mlkem.MLKEM768PrivateKey.from_seed_bytes(wide[:64]), x25519.X25519PrivateKey.from_private_bytes(wide[64:])
    public = x.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def secret(enc):
        inner = m.decapsulate(enc[:1088]) + x.exchange(x25519.X25519PublicKey.from_public_bytes(enc[1088:]))
        return hashlib.sha3_256(inner + enc[1088:] + public + b"\\.//^\\").digest()

    return Key(0x647A, m.public_key().public_bytes_raw() + public, None, secret, 1120)


def private_key(kind, raw):
    """The private key of kind "x25519", "p256" or "xwing" from its 32 bytes."""
    if kind == "x25519":
        k = x25519.X25519PrivateKey.from_private_bytes(raw)
        public = k.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return Key(0x20, public, lambda enc: k.exchange(x25519.X25519PublicKey.from_public_bytes(enc)))
    if kind == "p256":
        k = ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1())
        public = k.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        point = ec.EllipticCurvePublicKey.from_encoded_point
        return Key(0x10, public, lambda enc: k.exchange(ec.ECDH(), point(ec.SECP256R1(), enc)))
    if kind == "xwing":
        return xwing(raw)
    raise ValueError("keys of kind %s are not supported here" % kind)


def read(path, form):
    with open(path) as f:
        file = json.load(f)
    if file["format"] != form or "scrypt" in file:
        raise ValueError("%s is no %s, or is encrypted under a passphrase" % (path, form))
    return file


def load_key(path):
    """A recipient's private key, from a .key.json of sealctl that has no passphrase."""
    file = read(path, "sealgate-recipient-key/v1")
    return private_key(file["kind"], base64.b64decode(file["secret"]))


def load_gateway_key(path):
    """A gateway's public signing key, from its .pub.json: 32 bytes."""
    return base64.b64decode(read(path, "sealgate-signer/v1")["public"])
