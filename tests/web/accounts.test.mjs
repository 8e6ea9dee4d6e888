// What the module keeps account of, in simulated time: requests, bytes, signals that are passed on, and replacements.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Mesh } from "../../web/chatixia.js";
import { World } from "./world.mjs";

async function joined(world, names) {
  const meshes = names.map((name) => new Mesh({ registry: "http://registry/", key: name, runtime: world.runtime(name) }));
  const connected = meshes.map((mesh) => mesh.connect());
  await world.until(() => meshes.every(({ peers }) => peers.filter(({ state }) => state === "connected").length === names.length - 1));
  await Promise.all(connected);
  return meshes;
}

test("a second request with the same id is refused, and the first has its response", async () => {
  const world = new World();
  const [a, b] = await joined(world, ["a", "b"]);
  b.addEventListener("message", ({ detail: { message } }) => message.type === "ask" && b.send("a", { type: "answer", request_id: message.request_id }));
  const first = a.request("b", { type: "ask", request_id: "1" });
  await assert.rejects(a.request("b", { type: "ask", request_id: "1" }), { code: "bad_message", peer: "b" });
  await world.run(500);
  assert.equal((await first).type, "answer");
  const again = a.request("b", { type: "ask", request_id: "1" });
  await world.run(500);
  assert.equal((await again).type, "answer", "an id is free once it was answered");
});

test("a request that fails late takes no other's place", async () => {
  const world = new World();
  const [a, b] = await joined(world, ["a", "b"]);
  b.addEventListener("message", ({ detail: { message } }) => message.type === "ask" && b.send("a", { type: "answer", request_id: message.request_id }));
  world.failConnections();
  world.latency = 200;
  // That it is too large is known when there is a connection again, after its time.
  const early = assert.rejects(a.request("b", { type: "ask", request_id: "1", payload: "x".repeat(300000) }, { timeout: 300 }), { code: "no_response" });
  await world.run(600);
  await early;
  assert.equal(a.peers[0].queued.messages, 1, "it still waits");
  const next = a.request("b", { type: "ask", request_id: "1" }).then(({ type }) => type, ({ code }) => code);
  await world.run(10000);
  assert.equal(await next, "answer");
});

test("bytes are those of UTF-8, where they are sent and where they come in", async () => {
  const world = new World();
  const [a, b] = await joined(world, ["a", "b"]);
  await Promise.all([a.send("b", { type: "t", payload: "ü".repeat(1000) }), world.run(500)]);
  const [{ sent }] = a.peers;
  const [{ received }] = b.peers;
  assert.ok(sent.bytes > 2000);
  assert.deepEqual(received, sent);
});

test("who brings more signals than are passed on waits a step for each, however many they were", async () => {
  const world = new World();
  await joined(world, ["a", "b", "c"]);
  const side = (name, other) => world.connections.find((side) => side.name === name && side.other?.name === other && side.connectionState === "connected");
  const channel = (connection) => connection.channels.find(({ label }) => label === "mesh-control");
  const [from, to] = [channel(side("b", "a")), channel(side("a", "c"))];
  let passed = 0;
  const write = to.send.bind(to);
  to.send = (text) => {
    passed += Number("frame" in JSON.parse(text));
    write(text);
  };
  const bring = async (count) => {
    passed = 0;
    const frame = { type: "ice_candidate", peer_id: "b", target_id: "c", payload: {} };
    for (let number = 0; number < count; number += 1) from.send(JSON.stringify({ frame }));
    await world.run(200);
    return passed;
  };
  assert.equal(await bring(1000), 64);
  await world.run(2500);
  const later = await bring(1000);
  assert.ok(later >= 9 && later <= 12, `${later} after ten steps`);
});

test("replacements are counted as long as the session goes on", async () => {
  const world = new World();
  const [a, b] = await joined(world, ["a", "b"]);
  assert.equal(a.peers[0].restarts, 0);
  const connected = () => a.peers.some(({ id, state }) => id === "b" && state === "connected");
  world.failConnections();
  await world.run(3000);
  assert.ok(connected() && a.peers[0].restarts === 1);
  b.close();
  await world.run(100);
  await joinedAgain(world, connected);
  assert.equal(a.peers[0].restarts, 0, "another process is no resumed session");
});

async function joinedAgain(world, condition) {
  const again = new Mesh({ registry: "http://registry/", key: "b", runtime: world.runtime("b") });
  const connected = again.connect();
  await world.until(() => again.peers.some(({ state }) => state === "connected") && condition());
  await connected;
}
