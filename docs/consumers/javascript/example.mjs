// SPDX-License-Identifier: MIT-0
// Opens one message: node example.mjs KEY.key.json GATEWAY=gateway.pub.json TOPIC < message
import { readFileSync } from "node:fs";
import { loadGatewayKey, loadKey } from "./keys.mjs";
import { Opener, Refused } from "./open.mjs";

const [, , key, named, topic] = process.argv;
const [gateway, path] = named.split("=", 2);
const opener = new Opener({ keys: [await loadKey(key)], gateways: { [gateway]: [loadGatewayKey(path)] } });
try {
  const m = await opener.open(topic, readFileSync(0));
  console.log(m.payload.toString());
  console.error(`from ${m.gateway} on ${m.topic} origin ${m.origin} seq ${m.seq}`);
} catch (e) {
  if (!(e instanceof Refused)) throw e;
  console.error(`refused: ${e.message}`);
  process.exitCode = 3;
}
