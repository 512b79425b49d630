// SPDX-License-Identifier: MIT-0
// Strict JSON with the place of every value, so that a document is given back byte for byte.
const TOKEN = /[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^ \t\r\n{}[\],:"]+)/y;

// places returns, by JSON Pointer, the start, end, first token and the ends of what is inside of each value of the
// text, and how many keys are _sg. It throws if the text is not one JSON value, or names a member twice.
export function places(text) {
  JSON.parse(text);
  const spans = new Map();
  let reserved = 0;
  const token = (at) => ((TOKEN.lastIndex = at), TOKEN.exec(text));
  const walk = (at, pointer) => {
    let m = token(at);
    const [start, kind, ends] = [TOKEN.lastIndex - m[1].length, m[1], []];
    let end = TOKEN.lastIndex;
    while ((kind === "{" || kind === "[") && !"}]".includes((m = token(end))[1])) {
      if (m[1] === ",") m = token(TOKEN.lastIndex);
      let key = String(ends.length);
      end = TOKEN.lastIndex - m[1].length;
      if (kind === "{") {
        key = JSON.parse(m[1]);
        if (key === "_sg") reserved++;
        token(TOKEN.lastIndex); // the colon
        end = TOKEN.lastIndex;
      }
      const inside = `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      if (spans.has(inside)) throw new SyntaxError("duplicate key");
      ends.push((end = walk(end, inside)));
    }
    if (kind === "{" || kind === "[") end = TOKEN.lastIndex;
    spans.set(pointer, { start, end, kind, ends });
    return end;
  };
  walk(0, "");
  return { spans, reserved };
}

// restore returns the text without cut to end, the trailer, and with each value (null: not ours) at its pointer.
export function restore(text, spans, cut, end, values) {
  const splices = [];
  const behind = new Map([["", spans.get("").ends.slice(0, -1)]]);
  for (const [pointer, value] of values) {
    let { start, end: stop } = spans.get(pointer) ?? {};
    let prefix = "";
    if (start === undefined) { // the member was removed: it goes behind the others
      const slash = pointer.lastIndexOf("/");
      const parent = spans.get(pointer.slice(0, slash));
      if (parent?.kind !== "{") throw new SyntaxError("pointer into something else than an object");
      const ends = behind.get(pointer.slice(0, slash)) ?? [...parent.ends];
      behind.set(pointer.slice(0, slash), ends);
      start = stop = ends.at(-1) ?? parent.end - 1;
      prefix = `${ends.length ? "," : ""}${JSON.stringify(pointer.slice(slash + 1).replaceAll("~1", "/").replaceAll("~0", "~"))}:`;
      if (value !== null) ends.push(start);
    }
    if (value !== null) splices.push([start, stop, prefix + value]);
  }
  splices.push([cut, end, ""]);
  let [out, at] = ["", 0];
  for (const [start, stop, value] of splices.sort((a, b) => a[0] - b[0])) {
    out += text.slice(at, start) + value;
    at = stop;
  }
  places(out + text.slice(at));
  return out + text.slice(at);
}
