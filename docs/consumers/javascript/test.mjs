// SPDX-License-Identifier: MIT-0
// Opens and refuses the published vectors: node test.mjs crypto/envelope/testdata/vectors
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { privateKey } from "./keys.mjs";
import { Opener, Refused } from "./open.mjs";
import { MARK, unpack } from "./tokens.mjs";

const read = (name) => JSON.parse(readFileSync(`${process.argv[2]}/${name}`, "utf8"));
const hex = (text) => Buffer.from(text, "hex");
const KINDS = { 0x20: "x25519", 0x10: "p256", 0x647a: "xwing" };

const setup = read("keys.json");
const keys = {};
for (const r of setup.recipients) keys[r.name] = await privateKey(KINDS[r.kem], r.rid, hex(r.private));
const gateways = { [setup.gateway]: [hex(setup.signing_key.public)] };
const failures = [];
const check = (ok, text) => void (ok || failures.push(text));

async function opener(v, options) {
  const o = new Opener({ keys: v.keys.map((k) => keys[k]), ...options });
  for (const g of v.grants ?? []) await o.addGrant(hex(g));
  return o;
}

async function reason(job) {
  try {
    await job();
    return null;
  } catch (e) {
    if (!(e instanceof Refused)) throw e;
    return e.message;
  }
}

const vectors = read("opened.json");
for (const v of vectors) {
  const [want, message, topic] = [v.opened, hex(v.message), setup.topic];
  const got = await (await opener(v, { gateways })).open(topic, message).catch((e) => check(false, `${v.name}: refused: ${e.message}`));
  for (const [k, x] of Object.entries(got ? want : {})) {
    if (k === "payload") { // what was packed is packed anew
      check(unpack(got[k]).inside.equals(unpack(hex(x)).inside), `${v.name}: payload is ${got[k].toString("hex")}`);
      continue;
    }
    const y = Buffer.isBuffer(got[k]) ? got[k].toString("hex") : got[k];
    check(isDeepStrictEqual(x, y), `${v.name}: ${k} is ${y}, not ${x}`);
  }
  const signed = want.origin === "signed";
  for (const [what, why, options, on] of [
    ["no gateways' keys", null, {}, topic],
    ["another topic", "topic", { gateways }, `${topic}/x`],
    ["a gateway without a key", "origin", { gateways: {} }, topic],
    ["another gateway's key", "origin", { gateways: { [setup.gateway]: [Buffer.alloc(32, 7)] } }, topic],
    ["signature required", signed ? null : "bad_signature", { gateways, signed: true }, topic],
    ["sealed required", want.protection === "sealed" ? null : "downgrade", { gateways, sealed: true }, topic],
  ]) {
    const r = await reason(async () => (await opener(v, options)).open(on, message));
    check(r === why, `${v.name}: ${what}: ${r}, not ${why}`);
  }
  // Every byte counts, but for the tags of other audiences' keys and white space behind a document.
  const o = await opener(v, { gateways });
  const end = message[0] === 0x7b && !message.includes(MARK) ? message.lastIndexOf("}") + 1 : message.length;
  const packed = !unpack(message).inside.equals(message); // hashed unpacked
  for (let i = 0; i < end && !packed && Object.values(want.fields ?? {}).every(Boolean); i += 7) {
    const changed = Buffer.from(message);
    changed[i] ^= 4;
    check(await reason(() => o.open(topic, changed)), `${v.name}: opens with byte ${i} changed`);
    check(await reason(() => o.open(topic, message.subarray(0, i))), `${v.name}: opens when cut at ${i}`);
  }
}
const refused = read("refused.json");
for (const v of refused) {
  const r = await reason(async () => (await opener(v, { gateways })).open(setup.topic, hex(v.message)));
  check(r === v.reason, `${v.name}: ${r}, not ${v.reason}`);
}
console.log(`${vectors.length} opened, ${refused.length} refused`);
if (failures.length || !vectors.length || !refused.length) {
  console.error(failures.join("\n") || "no vectors");
  process.exitCode = 1;
}
