// SPDX-License-Identifier: MIT-0
// The parts of docs/formats-envelope.md: base64url, CBOR, headers and grants, read strictly.
import { createDecipheriv, createHash, createHmac, timingSafeEqual } from "node:crypto";
import * as cborg from "cborg";

export const CIPHERS = { 3: "aes-256-gcm", 24: "chacha20-poly1305" };
export const decode = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
export const cbor = (value) => Buffer.from(cborg.encode(value));
export const sha = (raw) => createHash("sha256").update(raw).digest();
const same = (a, b) => a.length === b.length && timingSafeEqual(a, b);
export const hex = (raw) => Buffer.from(raw).toString("hex");

// A Refused is a message that must not be used. Its message is the reason, a word that is safe to log.
export class Refused extends Error {}

export function need(ok, reason = "malformed") {
  if (!ok) throw new Refused(reason);
}

export function decrypt(g, blob, aad) {
  const c = createDecipheriv(CIPHERS[g.alg], g.dek, blob.subarray(0, 12), { authTagLength: 16 });
  c.setAAD(aad);
  c.setAuthTag(blob.subarray(-16));
  try {
    return Buffer.concat([c.update(blob.subarray(12, -16)), c.final()]);
  } catch {
    throw new Refused("bad_tag");
  }
}

// unb64 reads base64url, canonical and without padding.
export function unb64(text) {
  const raw = Buffer.from(text, "base64url");
  need(raw.toString("base64url") === text);
  return raw;
}

// uncbor reads an array or map of so many items, encoded in the one way that is allowed.
export function uncbor(raw, kind, least, most) {
  const value = cborg.decode(raw, { strict: true, useMaps: true, rejectDuplicateMapKeys: true, allowIndefinite: false });
  const size = value instanceof Map ? value.size : value.length;
  need(value instanceof kind && least <= size && size <= most && cbor(value).equals(raw));
  return value;
}

export function parseHeader(raw, document, tokens = false) {
  const h = uncbor(raw, Map, 7, 64);
  const [boot, stream, seq] = h.get(-70003);
  const [claims, fields] = [h.get(15), h.get(-70005) ?? []];
  const kids = [h.get(4), ...(h.get(-70006) ?? [])].map(hex);
  need(raw.length <= 1 << 18 && !h.has(2) && [...claims.keys()].join() === "1,6,7" && claims.get(7).length === 16 && stream.length === 3);
  need(h.has(-70005) === document && fields.length <= 1024 && kids.length <= (document ? 16 : 1) && new Set(kids).size === kids.length);
  const pointers = new Set(fields.map(([pointer]) => pointer));
  need((tokens || pointers.size === fields.length) && (!document || [...new Set(fields.map(([, key]) => key))].sort((a, b) => a - b).join() === [...kids.keys()].join()));
  for (const pointer of pointers) {
    need((tokens && pointer === "") || (/^(\/([^~/]|~[01])*)+$/u.test(pointer) && pointer !== "/_sg" && !pointer.startsWith("/_sg/")));
    for (let at = pointer.lastIndexOf("/"); at > 0 && !tokens; at = pointer.lastIndexOf("/", at - 1)) need(!pointers.has(pointer.slice(0, at)));
  }
  const facts = { gateway: claims.get(1), issued_at: claims.get(6), message_id: Buffer.from(claims.get(7)), grade: h.get(-70001),
    policy_version: h.get(-70002), boot, stream, seq, published_topic: h.get(-70004), content_type: h.get(3) };
  need(typeof facts.published_topic === "string" && typeof facts.gateway === "string" && typeof facts.issued_at === "number");
  return { facts, alg: h.get(1), kids, fields };
}

export function parseGrant(raw) {
  need(raw[0] === 0xd2 && raw.length <= 1 << 18);
  const [head, unprotected, payload, signature] = uncbor(raw.subarray(1), Array, 4, 4);
  const p = uncbor(head, Map, 3, 3);
  const [version, alg, boot, , commitment, wraps] = uncbor(payload, Array, 6, 6);
  const [claims, ids] = [p.get(15), wraps.map(([rid]) => hex(rid))];
  need(p.get(1) === -19 && unprotected.size === 0 && [...claims.keys()].join() === "1,4,6" && version === 1);
  need(ids.every((id, i) => i === 0 || ids[i - 1] < id));
  return { raw: Buffer.from(raw), kid: hex(sha(payload)), gateway: claims.get(1), exp: claims.get(4), signer: p.get(4), alg, boot, commitment, wraps,
    signature, signed: cbor(["Signature1", head, Buffer.from("sg1/grant"), payload]) };
}

// safely turns what a parser throws at foreign bytes into a refusal.
export async function safely(job) {
  try {
    return await job();
  } catch (e) {
    throw e instanceof Refused ? e : new Refused("malformed");
  }
}

// unwrap gives a grant its data key, if one of keys is for it; else it is another audience's.
export async function unwrap(g, keys) {
  const ours = g.wraps.find(([rid]) => keys.has(hex(rid)));
  if (ours) {
    const info = cbor(["sg1/dek", g.gateway, g.boot, g.alg, ours[0]]);
    g.dek = await keys.get(hex(ours[0])).unwrap(info, ours[1]).catch(() => need(false, "grant"));
    const commitment = createHmac("sha256", g.dek).update(cbor(["sg1/commit", g.alg])).digest();
    need(g.dek.length === 32 && same(commitment, g.commitment), "grant");
  }
}
