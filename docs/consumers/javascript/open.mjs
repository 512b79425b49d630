// SPDX-License-Identifier: MIT-0
// Opens what Sealgate gateways send, as docs/formats-envelope.md says, in archive mode: replay is unchecked.
import { createPublicKey, verify } from "node:crypto";
import { openDocument, places } from "./document.mjs";
import { CIPHERS, Refused, cbor, decode, decrypt, need, parseGrant, parseHeader, safely, sha, unb64, uncbor, unwrap } from "./format.mjs";
import { MARK, openTokens, unpack } from "./tokens.mjs";

export { Refused };

const [GRANT, SIGNATURE] = [-70007, -70008];
const LIMIT = 16 << 20;

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
      const opened = message[0] === 0xd0 && message[1] === 0x83 ? await this.openSealed(message) : await this.openDocument(message);
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
    await unwrap(g, this.keys);
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

  origin(g, signed, signature, context = "sg1/sign") {
    if (!this.gateways || !signature?.length) {
      need(!this.signed, this.gateways ? "bad_signature" : "origin");
      return this.gateways ? "key" : "unverified";
    }
    this.verify(g, cbor([context, sha(signed)]), signature);
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

  async openDocument(raw) {
    const { inside, pack } = unpack(Buffer.from(raw));
    const [marked, packed] = [inside.includes(MARK), !inside.equals(raw)];
    let text, spans, reserved;
    try {
      text = decode.decode(inside);
      ({ spans, reserved } = places(text));
    } catch {
      need(marked || inside.includes('"_sg"'), "downgrade");
      need(marked);
    }
    const tokens = marked && spans?.get("").kind !== "{";
    need(!tokens || !this.sealed, "downgrade");
    const opened = await (tokens ? openTokens(this, inside) : this.openJSON(text, spans, reserved));
    need(!packed || opened.protection === "fields");
    return { ...opened, payload: pack(opened.payload) };
  }

  async openJSON(text, spans, reserved) {
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
    return openDocument(this, text, spans, value);
  }
}
