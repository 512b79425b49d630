# SPDX-License-Identifier: MIT-0
"""Documents with encrypted fields: strict JSON with the place of every value, so that one is given back byte for byte."""
import json, re
from cbor2 import dumps
from sealgate_format import Refused, decrypt, need, parse_header, sha, unb64, uncbor

SPACE, TOKEN = " \t\r\n", re.compile(r'[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^ \t\r\n{}\[\],:"]+)')


def places(text):
    """(start, end, first token, ends of what is inside) of the value at each path, and how many keys are _sg.
    Raises ValueError if the text is not one JSON value, or names a member twice."""
    keys, spans = [], {}

    def unique(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError("duplicate key")
        keys.extend(k for k, _ in pairs)

    def constant(_):
        raise ValueError("not a number of JSON")

    def walk(at, path):
        m = TOKEN.match(text, at)
        start, kind, end, ends = m.start(1), m[1], m.end(), []
        while kind in ("{", "[") and (m := TOKEN.match(text, end))[1] not in ("}", "]"):
            m = TOKEN.match(text, m.end()) if m[1] == "," else m
            key, end = str(len(ends)), m.start()
            if kind == "{":
                key, end = json.loads(m[1]), TOKEN.match(text, m.end()).end()
            end = walk(end, path + (key,))
            ends.append(end)
        spans[path] = (start, m.end(), kind, ends)
        return m.end()

    json.loads(text, object_pairs_hook=unique, parse_constant=constant, parse_int=str, parse_float=str)
    walk(0, ())
    return spans, keys.count("_sg")


def restore(text, spans, cut, end, values):
    """The text without cut to end, the trailer, and with each value (None: not ours) at its path."""
    splices, behind = [(cut, end, "")], {(): spans[()][3][:-1]}
    for path, value in values:
        at, to, prefix = *spans.get(path, (None, None))[:2], ""
        if at is None:  # the member was removed: it goes behind the others
            _, close, kind, ends = spans[path[:-1]]
            ends = behind.setdefault(path[:-1], list(ends))
            if kind != "{":
                raise ValueError("pointer into something else than an object")
            at = to = ends[-1] if ends else close - 1
            prefix = ("," if ends else "") + json.dumps(path[-1], ensure_ascii=False) + ":"
            ends += [at] if value is not None else []
        if value is not None:
            splices.insert(-1, (at, to, prefix + value))
    out, at = "", 0
    for start, stop, value in sorted(splices, key=lambda s: s[0]):
        out, at = out + text[at:start] + value, stop
    places(out + text[at:])
    return out + text[at:]


def open_document(opener, text, spans, value):
    """A document with encrypted fields, of which the trailer is value, as it was before protection."""
    _, header, inline, *ciphers, tags, signature = value.split(".")
    unsigned, header, signature = value[: len(value) - len(signature)], unb64(header), unb64(signature)
    untagged, tags = unsigned[: -len(tags) - 1], unb64(tags)
    facts, alg, kids, fields, paths = parse_header(header, True)
    need(len(ciphers) == len(fields) and len(tags) == 28 * len(kids) and len(signature) in (0, 64))
    grants = opener.grants_of(facts, alg, kids, uncbor(unb64(inline), list, 0, 16))
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
        origin = opener.origin(grants[0], (front + unsigned).encode(), signature)
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
