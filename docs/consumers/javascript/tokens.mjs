// SPDX-License-Identifier: MIT-0
// Documents with tokens, of any format, and what is packed around documents.
import * as zlib from "node:zlib";
import { cbor, decrypt, need, parseHeader, sha, unb64, uncbor } from "./format.mjs";

export const MARK = "sealgate1";
const LIMIT = 16 << 20;
const PART = "([A-Za-z0-9_-]*)\\.";
const FIRST = new RegExp(`sealgate1h\\.${PART.repeat(5)}`, "dy");
const OTHER = new RegExp(`sealgate1c\\.${PART}`, "dy");

// unpack returns what is inside gzip, zlib or zstd, and a function that packs like it; any other bytes as they are.
export function unpack(raw) {
  const asIs = { inside: Buffer.from(raw), pack: (b) => b };
  const zstd = raw.length > 3 && raw.readUInt32LE(0) === 0xfd2fb528;
  need(!zstd || zlib.zstdDecompressSync, "algorithm"); // Node.js 22.15
  const [open, pack] =
    raw[0] === 0x1f && raw[1] === 0x8b ? [zlib.gunzipSync, zlib.gzipSync]
    : raw[0] === 0x78 ? [zlib.inflateSync, zlib.deflateSync]
    : zstd ? [zlib.zstdDecompressSync, zlib.zstdCompressSync]
    : [null, null];
  if (!open) return asIs;
  try {
    return { inside: open(raw, { maxOutputLength: LIMIT }), pack: (b) => pack(b) };
  } catch {
    return asIs;
  }
}

// scan finds all tokens of a document, as latin1: the first has the header, no other has.
function scan(text) {
  const found = [];
  for (let at = text.indexOf(MARK); at >= 0; at = text.indexOf(MARK, found.at(-1).indices[0][1])) {
    const shape = found.length ? OTHER : FIRST;
    shape.lastIndex = at;
    const m = shape.exec(text);
    need(m && found.length < 1024);
    found.push(m);
  }
  return found;
}

// openTokens returns a document with tokens as it was before protection: each goes, with bytes around it, for the bytes
// that it came for.
export async function openTokens(opener, doc) {
  const tokens = scan(doc.toString("latin1"));
  const first = tokens[0];
  const [header, inline, , tags, signature] = first.slice(1).map(unb64);
  const h = parseHeader(header, true, true);
  need(h.fields.length === tokens.length && tags.length === 28 * h.kids.length && [0, 64].includes(signature.length));
  const grants = await opener.grantsOf(h, uncbor(inline, Array, 0, 16));
  const without = (from) => Buffer.concat([doc.subarray(0, first.indices[from][0]), doc.subarray(first.indices[5][1])]);
  const aad = cbor(["sg1/tokens", header, sha(without(4))]);
  let whole = true;
  try {
    grants.forEach((g, i) => g.dek && decrypt(g, tags.subarray(28 * i, 28 * i + 28), aad));
  } catch {
    whole = false;
  }
  const origin = whole ? opener.origin(grants[0], without(5), signature, "sg1/tokens/sign") : null;
  const [out, fields] = [[], {}];
  let [at, fits] = [0, true];
  h.fields.forEach(([pointer, key], i) => {
    const [g, blob] = [grants[key], unb64(tokens[i][i === 0 ? 3 : 1])];
    const size = blob.length - 28;
    need(size >= 32 && (size & (size - 1)) === 0);
    fields[pointer] = Boolean(g.dek);
    if (!g.dek) return;
    const plain = decrypt(g, blob, cbor(["sg1/token", header, i]));
    const end = plain.findLastIndex((b) => b !== 0);
    const [start, stop] = [tokens[i].indices[0][0] - plain.readUInt32BE(0), tokens[i].indices[0][1] + plain.readUInt32BE(4)];
    fits &&= end >= 8 && plain[end] === 0x80 && at <= start && stop <= doc.length;
    out.push(doc.subarray(at, Math.max(at, start)), plain.subarray(8, end));
    at = stop;
  });
  need(whole, "reserialized");
  need(fits);
  const payload = Buffer.concat([...out, doc.subarray(at)]);
  return { ...h.facts, payload, topic: h.facts.published_topic, protection: "fields", origin, fields };
}
