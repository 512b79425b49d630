# SPDX-License-Identifier: MIT-0
"""Opens and refuses the published vectors: python3 test_vectors.py crypto/envelope/testdata/vectors"""
import json, pathlib, sys
from sealgate_keys import private_key
from sealgate_open import Opener, Refused
from sealgate_tokens import MARK, unpack

KINDS = {0x20: "x25519", 0x10: "p256"}
try:
    from cryptography.hazmat.primitives.asymmetric import mlkem  # noqa: F401

    KINDS[0x647A] = "xwing"
except ImportError:  # an older cryptography, such as Debian's: X-Wing's vectors are skipped
    pass


def main(where):
    def read(name):
        return json.loads((where / name).read_text())

    setup, failures, opened, refused, skipped = read("keys.json"), [], 0, 0, 0
    keys = {r["name"]: private_key(KINDS[r["kem"]], bytes.fromhex(r["private"])) for r in setup["recipients"] if r["kem"] in KINDS}
    for r in setup["recipients"]:
        if r["name"] in keys and keys[r["name"]].rid.hex() != r["rid"]:
            failures.append("rid of " + r["name"])
    gateways = {setup["gateway"]: [bytes.fromhex(setup["signing_key"]["public"])]}
    stranger = {setup["gateway"]: [bytes(range(32))]}

    def opener(v, **options):
        o = Opener([keys[k] for k in v["keys"]], **options)
        for g in v.get("grants", []):
            o.add_grant(bytes.fromhex(g))
        return o

    def reason(do):
        try:
            do()
        except Refused as e:
            return str(e)

    for v in read("opened.json"):
        if not set(v["keys"]) <= keys.keys():
            skipped += 1
            continue
        name, want, message, topic = v["name"], v["opened"], bytes.fromhex(v["message"]), setup["topic"]
        try:
            got = opener(v, gateways=gateways).open(topic, message)
        except Refused as e:
            failures.append("%s: refused: %s" % (name, e))
            continue
        got = {k: x.hex() if isinstance(x, bytes) else x for k, x in got.items()}
        opened += 1
        for k, x in want.items():
            if k == "payload":  # what was packed is packed anew
                got[k], x = unpack(bytes.fromhex(got[k]))[0].hex(), unpack(bytes.fromhex(x))[0].hex()
            if got[k] != x:
                failures.append("%s: %s is %r, not %r" % (name, k, got[k], x))
        signed = want["origin"] == "signed"
        for what, why, options, on in (
            ("another topic", "topic", dict(gateways=gateways), topic + "/x"),
            ("a gateway without a key", "origin", dict(gateways={}), topic),
            ("another gateway's key", "origin", dict(gateways=stranger), topic),
            ("signature required", None if signed else "bad_signature", dict(gateways=gateways, signed=True), topic),
            ("sealed required", None if want["protection"] == "sealed" else "downgrade", dict(gateways=gateways, sealed=True), topic),
        ):
            got = reason(lambda: opener(v, **options).open(on, message))
            if got != why:
                failures.append("%s: %s: %s, not %s" % (name, what, got, why))
        if reason(lambda: opener(v).open(topic, message)) is not None:
            failures.append("%s: does not open without gateways' keys" % name)
        # Every byte counts, but for the tags of other audiences' keys and white space behind a document.
        o, message = opener(v, gateways=gateways), message.rstrip(b"\n") if message[:1] == b"{" and MARK not in message else message
        packed = unpack(message)[0] != message  # hashed unpacked
        for i in range(0, len(message), 7) if all(want.get("fields", {}).values()) and not packed else ():
            changed = bytearray(message)
            changed[i] ^= 4
            if reason(lambda: o.open(topic, bytes(changed))) is None:
                failures.append("%s: opens with byte %d changed" % (name, i))
            if reason(lambda: o.open(topic, message[:i])) is None:
                failures.append("%s: opens when cut at %d" % (name, i))
    for v in read("refused.json"):
        got = reason(lambda: opener(v, gateways=gateways).open(setup["topic"], bytes.fromhex(v["message"])))
        refused += 1
        if got != v["reason"]:
            failures.append("%s: %s, not %s" % (v["name"], got, v["reason"]))
    print("%d opened, %d refused, %d skipped (X-Wing)" % (opened, refused, skipped))
    if failures or not opened or not refused:
        sys.exit("\n".join(failures) or "no vectors")


main(pathlib.Path(sys.argv[1]))
