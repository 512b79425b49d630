// SPDX-License-Identifier: MIT-0
// Opens what Sealgate gateways send, as docs/formats-envelope.md says, in archive mode: replay is unchecked.
import { createDecipheriv, createHash, createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import * as cborg from "cborg";
import { places, restore } from "./document.mjs";

const CIPHERS = { 3: "aes-256-gcm", 24: "chacha20-poly1305" };
const [GRANT, SIGNATURE] = [-70007, -70008];
const LIMIT = 16 << 20;
const decode = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const cbor = (value) => Buffer.from(cborg.encode(value));
const sha = (raw) => createHash("sha256").update(raw).digest();
const same = (a, b) => a.length === b.length && timingSafeEqual(a, b);
const hex = (raw) => Buffer.from(raw).toString("hex");

// A Refused is a message that must not be used. Its message is the reason, a word that is safe to log.
export class Refused extends Error {}

function need(ok, reason = "malformed") {
  if (!ok) throw new Refused(reason);
}

// safely turns what a parser throws at foreign bytes into a refusal.
async function safely(job) {
  try {
    return await job();
  } catch (e) {
    throw e instanceof Refused ? e : new Refused("malformed");
  }
}

function decrypt(g, blob, aad) {
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
function unb64(text) {
  const raw = Buffer.from(text, "base64url");
  need(raw.toString("base64url") === text);
  return raw;
}

// uncbor reads an array or map of so many items, encoded in the one way that is allowed.
function uncbor(raw, kind, least, most) {
  const value = cborg.decode(raw, { strict: true, useMaps: true, rejectDuplicateMapKeys: true, allowIndefinite: false });
  const size = value instanceof Map ? value.size : value.length;
  need(value instanceof kind && least <= size && size <= most && cbor(value).equals(raw));
  return value;
}

function parseHeader(raw, document) {
  const h = uncbor(raw, Map, 7, 64);
  const [boot, stream, seq] = h.get(-70003);
  const [claims, fields] = [h.get(15), h.get(-70005) ?? []];
  const kids = [h.get(4), ...(h.get(-70006) ?? [])].map(hex);
  need(raw.length <= 1 << 18 && !h.has(2) && [...claims.keys()].join() === "1,6,7" && claims.get(7).length === 16 && stream.length === 3);
  need(h.has(-70005) === document && fields.length <= 1024 && kids.length <= (document ? 16 : 1) && new Set(kids).size === kids.length);
  const pointers = new Set(fields.map(([pointer]) => pointer));
  need(pointers.size === fields.length && (!document || [...new Set(fields.map(([, key]) => key))].sort((a, b) => a - b).join() === [...kids.keys()].join()));
  for (const pointer of pointers) {
    need(/^(\/([^~/]|~[01])*)+$/u.test(pointer) && pointer !== "/_sg" && !pointer.startsWith("/_sg/"));
    for (let at = pointer.lastIndexOf("/"); at > 0; at = pointer.lastIndexOf("/", at - 1)) need(!pointers.has(pointer.slice(0, at)));
  }
  const facts = { gateway: claims.get(1), issued_at: claims.get(6), message_id: Buffer.from(claims.get(7)), grade: h.get(-70001),
    policy_version: h.get(-70002), boot, stream, seq, published_topic: h.get(-70004), content_type: h.get(3) };
  need(typeof facts.published_topic === "string" && typeof facts.gateway === "string" && typeof facts.issued_at === "number");
  return { facts, alg: h.get(1), kids, fields };
}

function parseGrant(raw) {
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

// An Opener has keys: private keys of keys.mjs; gateways: { name: [public signing key] }, without which the origin is
// unverified; signed: every message must be signed by its gateway itself; sealed: all must be sealed whole.
export class Opener {
  constructor({ keys, gateways = null, signed = false, sealed = false }) {
    Object.assign(this, { keys: new Map(keys.map((k) => [k.id, k])), gateways, signed, sealed, grants: new Map() });
  }

  // open returns what a message was before protection, and the topic it was published on. topic: what it was received
  // on, or null if that is not known. It rejects with a Refused.
  open(topic, message) {
    return safely(async () => {
      need(message.length <= LIMIT);
      const opened = message[0] === 0xd0 && message[1] === 0x83 ? await this.openSealed(message) : await this.openJSON(message);
      need(topic === null || opened.published_topic === topic, "topic");
      return opened;
    });
  }

  // addGrant takes a grant that was delivered on its own: its first bytes are d2 84.
  addGrant(raw) {
    return safely(async () => void (await this.admit(parseGrant(raw))));
  }

  // verify says that the key which signed grant g is one of the gateway's, and signed this, too.
  verify(g, signed, signature) {
    const known = Object.hasOwn(this.gateways, g.gateway) ? this.gateways[g.gateway] : [];
    const key = known.find((k) => sha(k).subarray(0, 16).equals(g.signer));
    need(key, "origin");
    if (!signed) return;
    const jwk = { kty: "OKP", crv: "Ed25519", x: key.toString("base64url") };
    need(verify(null, signed, createPublicKey({ key: jwk, format: "jwk" }), signature), "bad_signature");
  }

  async admit(g) {
    need(CIPHERS[g.alg], "algorithm");
    if (this.gateways) this.verify(g, g.signed, g.signature);
    const ours = g.wraps.find(([rid]) => this.keys.has(hex(rid)));
    if (ours) { // else it is another audience's
      const info = cbor(["sg1/dek", g.gateway, g.boot, g.alg, ours[0]]);
      g.dek = await this.keys.get(hex(ours[0])).unwrap(info, ours[1]).catch(() => need(false, "grant"));
      const commitment = createHmac("sha256", g.dek).update(cbor(["sg1/commit", g.alg])).digest();
      need(g.dek.length === 32 && same(commitment, g.commitment), "grant");
    }
    if (this.grants.size >= 4096) this.grants.delete(this.grants.keys().next().value);
    this.grants.set(g.kid, g);
    return g;
  }

  // grantsOf returns the grant of each key. Each that travels inside must be of one of the keys, in their order.
  async grantsOf({ facts, alg, kids }, inline) {
    need(CIPHERS[alg], "algorithm");
    const found = [];
    for (const kid of kids) {
      let g = this.grants.get(kid);
      if (inline.length) {
        const fresh = g?.raw.equals(inline[0]) ? g : parseGrant(inline[0]);
        if (fresh.kid === kid) [g, inline] = [fresh === g ? g : await this.admit(fresh), inline.slice(1)];
      }
      need(g, "unknown_key");
      need(g.gateway === facts.gateway && g.boot === facts.boot && g.alg === alg, "grant");
      if (this.gateways) this.verify(g);
      need(facts.issued_at <= g.exp, "expired");
      found.push(g);
    }
    need(inline.length === 0);
    need(found.some((g) => g.dek), "no_recipient");
    return found;
  }

  origin(g, signed, signature) {
    if (!this.gateways || !signature?.length) {
      need(!this.signed, this.gateways ? "bad_signature" : "origin");
      return this.gateways ? "key" : "unverified";
    }
    this.verify(g, cbor(["sg1/sign", sha(signed)]), signature);
    return "signed";
  }

  async openSealed(raw) {
    const [header, extra, ciphertext] = uncbor(raw.subarray(1), Array, 3, 3);
    const h = parseHeader(header, false);
    const [iv, grant, signature] = [extra.get(5), extra.get(GRANT), extra.get(SIGNATURE)];
    need([...extra.keys()].every((k) => [5, GRANT, SIGNATURE].includes(k)) && iv.length === 12 && ciphertext.length >= 16);
    need(!extra.has(SIGNATURE) || signature.length === 64);
    const [g] = await this.grantsOf(h, extra.has(GRANT) ? [grant] : []);
    const plain = decrypt(g, Buffer.concat([iv, ciphertext]), cbor(["Encrypt0", header, Buffer.from("sg1/payload")]));
    const origin = this.origin(g, cbor([header, iv, ciphertext]), signature);
    const [payload, ...rest] = uncbor(plain, Array, 2, 3);
    const [padding, real] = [rest.pop(), rest[0]];
    need(payload instanceof Uint8Array && padding.every((b) => b === 0) && (!real || (real.size === 1 && typeof real.get(1) === "string")));
    return { ...h.facts, payload: Buffer.from(payload), topic: real?.get(1) ?? h.facts.published_topic, protection: "sealed", origin };
  }

  async openJSON(raw) {
    let text, spans, reserved;
    try {
      text = decode.decode(raw);
      ({ spans, reserved } = places(text));
    } catch {
      need(Buffer.from(raw).includes('"_sg"'), "downgrade");
      need(false);
    }
    need(reserved, "downgrade");
    need(reserved === 1 && spans.has("/_sg"));
    const { start, end } = spans.get("/_sg");
    const value = JSON.parse(text.slice(start, end));
    if (value.startsWith("1s.")) {
      const inner = unb64(value.slice(3));
      need(spans.get("").ends.length === 1 && inner[0] === 0xd0);
      return this.openSealed(inner);
    }
    need(value.startsWith("1."), "algorithm");
    need(!this.sealed, "downgrade");
    return this.openDocument(text, spans, value);
  }

  async openDocument(text, spans, value) {
    const parts = value.split(".");
    const header = unb64(parts[1]);
    const h = parseHeader(header, true);
    need(parts.length === h.fields.length + 5);
    const [tags, signature] = parts.slice(-2).map(unb64);
    need(tags.length === 28 * h.kids.length && [0, 64].includes(signature.length));
    const grants = await this.grantsOf(h, uncbor(unb64(parts[2]), Array, 0, 16));
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
    const origin = whole ? this.origin(grants[0], front + unsigned, signature) : null;
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
}
