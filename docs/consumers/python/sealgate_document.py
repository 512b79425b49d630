# SPDX-License-Identifier: MIT-0
"""Strict JSON with the place of every value, so that a document is given back byte for byte."""
import json, re

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
