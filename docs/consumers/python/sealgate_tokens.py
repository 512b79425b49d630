# SPDX-License-Identifier: MIT-0
"""Documents with tokens, of any format, and what is packed around documents."""
import gzip, re, zlib
from cbor2 import dumps
from sealgate_format import Refused, decrypt, need, parse_header, sha, unb64, uncbor

MARK, LIMIT, PART = b"sealgate1", 16 << 20, rb"([A-Za-z0-9_-]*)\."
FIRST, OTHER = re.compile(rb"sealgate1h\." + PART * 5), re.compile(rb"sealgate1c\." + PART)


def unpack(raw):
    """What is inside gzip, zlib or zstd, and a function that packs like it; any other bytes as they are."""
    packers = {b"\x1f\x8b": (31, lambda b: gzip.compress(b, mtime=0)), b"\x78": (15, zlib.compress)}
    for magic, (bits, pack) in packers.items():
        if raw.startswith(magic):
            try:
                z = zlib.decompressobj(bits)
                inside = z.decompress(raw, LIMIT)
                return (inside, pack) if z.eof and not z.unused_data else (raw, bytes)
            except zlib.error:
                return raw, bytes
    if raw.startswith(b"\x28\xb5\x2f\xfd"):
        try:
            from compression import zstd  # Python 3.14
        except ImportError:
            raise Refused("algorithm") from None
        z = zstd.ZstdDecompressor()
        inside = z.decompress(raw, LIMIT)
        need(z.eof and not z.unused_data)
        return inside, zstd.compress
    return raw, bytes


def scan(doc):
    """All tokens of a document: the first has the header, no other has."""
    found, at = [], doc.find(MARK)
    while at >= 0:
        m = (OTHER if found else FIRST).match(doc, at)
        need(m and len(found) < 1024)
        found.append(m)
        at = doc.find(MARK, m.end())
    return found


def open_tokens(opener, doc):
    """A document with tokens as it was before protection: each goes, with bytes around it, for the bytes it came for."""
    first, *others = scan(doc)
    header, inline, _, tags, signature = (unb64(part.decode()) for part in first.groups())
    facts, alg, kids, fields, _ = parse_header(header, True, tokens=True)
    need(len(fields) == 1 + len(others) and len(tags) == 28 * len(kids) and len(signature) in (0, 64))
    grants = opener.grants_of(facts, alg, kids, uncbor(inline, list, 0, 16))
    aad, origin, whole = dumps(["sg1/tokens", header, sha(doc[: first.start(4)] + doc[first.end(5) :])]), None, True
    try:
        [decrypt(g, tags[28 * i : 28 * i + 28], aad) for i, g in enumerate(grants) if g["dek"]]
    except Refused:
        whole = False
    if whole:
        origin = opener.origin(grants[0], doc[: first.start(5)] + doc[first.end(5) :], signature, "sg1/tokens/sign")
    out, at, opened, fits = b"", 0, {}, True
    for i, ((pointer, key), m) in enumerate(zip(fields, [first] + others)):
        g, blob = grants[key], unb64(m[3 if m is first else 1].decode())
        need(len(blob) >= 60 and (len(blob) - 28).bit_count() == 1)
        opened[pointer] = g["dek"] is not None
        if not g["dek"]:
            continue
        plain = decrypt(g, blob, dumps(["sg1/token", header, i])).rstrip(b"\0")
        start, stop = m.start() - int.from_bytes(plain[:4], "big"), m.end() + int.from_bytes(plain[4:8], "big")
        fits = fits and len(plain) > 8 and plain[-1] == 0x80 and at <= start and stop <= len(doc)
        out, at = out + doc[at:start] + plain[8:-1], stop
    need(whole, "reserialized")
    need(fits)
    return dict(facts, payload=out + doc[at:], topic=facts["published_topic"], protection="fields", origin=origin, fields=opened)
