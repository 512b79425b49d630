// SPDX-License-Identifier: MIT-0
// Documents with encrypted fields: strict JSON with the place of every value, so that one is given back byte for byte.
import { cbor, decode, decrypt, need, parseHeader, sha, unb64, uncbor } from "./format.mjs";

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

// openDocument returns a document with encrypted fields, of which the trailer is value, as it was before protection.
export async function openDocument(opener, text, spans, value) {
  const parts = value.split(".");
  const header = unb64(parts[1]);
  const h = parseHeader(header, true);
  need(parts.length === h.fields.length + 5);
  const [tags, signature] = parts.slice(-2).map(unb64);
  need(tags.length === 28 * h.kids.length && [0, 64].includes(signature.length));
  const grants = await opener.grantsOf(h, uncbor(unb64(parts[2]), Array, 0, 16));
  // What is hashed are the bytes as received: everything in front of the value, and the value up to there.
  const { start, end } = spans.get("/_sg");
  const front = text.slice(0, start + 1);
  const unsigned = value.slice(0, value.length - parts.at(-1).length);
  const key = text.slice(0, start).match(/^([^]*)"_sg"[ \t\r\n]*:[ \t\r\n]*$/);
  let whole = key && text.slice(start, end) === `"${value}"` && /^[ \t\r\n]*\}[ \t\r\n]*$/.test(text.slice(end));
  const aad = cbor(["sg1/doc", header, sha(front + unsigned.slice(0, -parts.at(-2).length - 1))]);
  try {
    grants.forEach((g, i) => whole && g.dek && decrypt(g, tags.subarray(28 * i, 28 * i + 28), aad));
  } catch {
    whole = false;
  }
  const origin = whole ? opener.origin(grants[0], front + unsigned, signature) : null;
  const values = h.fields.map(([pointer, index], i) => {
    const blob = unb64(parts[3 + i]);
    const size = blob.length - 28;
    need(size >= 32 && (size & (size - 1)) === 0);
    if (!grants[index].dek) return [pointer, null];
    const plain = decode.decode(decrypt(grants[index], blob, cbor(["sg1/field", header, pointer]))).replace(/ +$/, "");
    places(plain);
    return [pointer, plain];
  });
  need(whole, "reserialized");
  const before = key[1].replace(/[ \t\r\n]+$/, "");
  const cut = before.endsWith(",") ? before.length - 1 : key[1].length;
  const payload = Buffer.from(restore(text, spans, cut, end, values));
  const fields = Object.fromEntries(values.map(([pointer, plain]) => [pointer, plain !== null]));
  return { ...h.facts, payload, topic: h.facts.published_topic, protection: "fields", origin, fields };
}
