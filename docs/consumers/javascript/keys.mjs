// SPDX-License-Identifier: MIT-0
// Keys for open.mjs: recipients' private keys with HPKE (RFC 9180), and gateways' public signing keys.
import { readFileSync } from "node:fs";
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";

const KEMS = { x25519: [DhkemX25519HkdfSha256, 32], p256: [DhkemP256HkdfSha256, 65], xwing: [XWing, 1120] };

// privateKey makes a recipient's key from its 32 bytes; id is the rid that grants name it by.
export async function privateKey(kind, id, raw) {
  if (!KEMS[kind]) throw new Error(`there is no kind of key ${kind}`);
  const [Kem, size] = KEMS[kind];
  const suite = new CipherSuite({ kem: new Kem(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
  const recipientKey = await suite.kem.importKey("raw", raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length), false);
  const unwrap = (info, wrapped) => suite.open({ recipientKey, enc: wrapped.slice(0, size), info }, wrapped.slice(size));
  return { id, unwrap: async (info, wrapped) => Buffer.from(await unwrap(info, wrapped)) };
}

function read(path, format) {
  const file = JSON.parse(readFileSync(path, "utf8"));
  if (file.format !== format || file.scrypt) throw new Error(`${path} is no ${format}, or is encrypted under a passphrase`);
  return file;
}

// loadKey reads a recipient's private key from a .key.json of sealctl that has no passphrase.
export function loadKey(path) {
  const file = read(path, "sealgate-recipient-key/v1");
  return privateKey(file.kind, file.id, Buffer.from(file.secret, "base64"));
}

// loadGatewayKey reads a gateway's public signing key, 32 bytes, from its .pub.json.
export const loadGatewayKey = (path) => Buffer.from(read(path, "sealgate-signer/v1").public, "base64");
