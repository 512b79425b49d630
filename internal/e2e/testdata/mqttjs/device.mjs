// A device made with MQTT.js: it subscribes to its own topic, publishes a
// number of messages, and ends well when every one was acknowledged and came
// back from the local broker, in order.
//
//   node device.mjs URL VERSION QOS COUNT TOPIC
import mqtt from "mqtt";

const [url, version, qos, count, topic] = process.argv.slice(2);
const n = Number(count);
const fail = (why) => {
  console.error(why);
  process.exit(1);
};
setTimeout(() => fail("not done in 60 s"), 60_000).unref();

const client = await mqtt.connectAsync(url, {
  protocolVersion: Number(version),
  clientId: `mqttjs-${version}-${qos}`,
  clean: false,
  properties: version === "5" ? { sessionExpiryInterval: 60 } : undefined,
});
client.on("error", (e) => fail(e.message));

const heard = new Promise((resolve) => {
  let next = 0;
  client.on("message", (_, payload) => {
    const got = JSON.parse(payload.toString()).n;
    if (got !== next) fail(`heard ${got}, want ${next}`);
    if (++next === n) resolve();
  });
});
await client.subscribeAsync(topic, { qos: Number(qos) });

// MQTT.js leaves the broker's Receive Maximum to its caller: at most 50 are
// under way.
for (let i = 0; i < n; ) {
  const acknowledged = [];
  for (; i < n && acknowledged.length < 50; i++) {
    acknowledged.push(client.publishAsync(topic, JSON.stringify({ n: i }), { qos: Number(qos) }));
  }
  await Promise.all(acknowledged);
}
await heard;
await client.endAsync();
console.log(`${n} acknowledged`);
