// Opens each sealed message of the vectors with cose-js, which knows nothing of us: a COSE_Encrypt0 (RFC 9052, section
// 5.2) with the external associated data "sg1/payload". It has no ChaCha20/Poly1305; interop_test.go opens those.
import { readFileSync } from "node:fs";
import cose from "cose-js";

const cases = JSON.parse(readFileSync(new URL("../../envelope/testdata/vectors/opened.json", import.meta.url)));
let passed = 0;
let failed = 0;
for (const { name, message, steps } of cases) {
  const raw = Buffer.from(message, "hex");
  const { alg, dek } = steps.data_keys[0];
  if (raw[0] !== 0xd0 || alg !== 3) continue;
  const options = { externalAAD: Buffer.from("sg1/payload"), defaultType: cose.encrypt.Encrypt0Tag };
  const plain = await cose.encrypt.read(raw, Buffer.from(dek, "hex"), options).catch((e) => Buffer.from(String(e)));
  if (plain.toString("hex") === steps.plaintext) passed++;
  else console.error(`${name}: ${plain}`, failed++);
  raw[raw.length - 1] ^= 1; // and that it would have noticed
  if (await cose.encrypt.read(raw, Buffer.from(dek, "hex"), options).then(() => true, () => false)) console.error(`${name}: opens although it was changed`, failed++);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed || passed < 4 ? 1 : 0;
