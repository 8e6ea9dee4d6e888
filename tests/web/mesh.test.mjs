// The module in simulated time: two or more of them, over connections that are cut, fail and are replaced.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Mesh } from "../../web/chatixia.js";
import { World } from "./world.mjs";

const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 40);
const FAILURES = 2; // After so many seeds that fail, others tell nothing new.

/** A peer of the world, and what has happened to it. */
async function join(world, name, options = {}) {
  const mesh = new Mesh({ registry: "http://registry/", key: name, runtime: world.runtime(name), ...options });
  const seen = { messages: [], events: [] };
  mesh.addEventListener("message", ({ detail }) => seen.messages.push(detail));
  for (const type of ["peerconnected", "peerdisconnected", "registry", "untrusted"]) {
    mesh.addEventListener(type, ({ detail }) => seen.events.push({ type, ...detail }));
  }
  await world.settled(`${name} joins`, mesh.connect());
  return { mesh, seen };
}

const isConnected = ({ mesh }, name) => mesh.peers.some(({ id, state }) => id === name && state === "connected");
const numbers = ({ seen }, from) => seen.messages.filter(({ peer }) => peer === from).map(({ message }) => message.payload);

async function pair(world, options = {}) {
  const first = await join(world, "a", options.a);
  const second = await join(world, "b", options.b);
  await world.until(() => isConnected(first, "b") && isConnected(second, "a"));
  return [first, second];
}

test("messages arrive once and in order, and the sender knows", async () => {
  const world = new World();
  const [a, b] = await pair(world);
  const receipts = Array.from({ length: 100 }, (_, payload) => a.mesh.send("b", { type: "t", payload }));
  const told = await world.settled("100 messages", Promise.all(receipts), 1000);
  assert.deepEqual(told, receipts.map(() => ({ target_peer: "b", receipt: "agent" })));
  assert.deepEqual(numbers(b, "a"), Array.from({ length: 100 }, (_, number) => number));
  const [{ message }] = b.seen.messages;
  assert.deepEqual(message, { request_id: "", source_agent: "a", target_agent: "b", payload: 0, type: "t" });
});

test("more than the window is sent as the peer takes it", async () => {
  const world = new World();
  const [a, b] = await pair(world);
  const payload = "x".repeat(30000);
  const receipts = Array.from({ length: 60 }, () => a.mesh.send("b", { type: "t", payload }));
  await world.until(() => b.seen.messages.length === 60);
  await world.settled("60 messages", Promise.all(receipts), 500);
  assert.deepEqual(a.mesh.peers[0].queued, { messages: 0, bytes: 0 });
});

test("a request is answered, streamed or late", async () => {
  const world = new World();
  const [a, b] = await pair(world);
  b.mesh.addEventListener("message", ({ detail: { message } }) => {
    if (message.type !== "agent_prompt") return;
    const reply = (type, payload) => b.mesh.send("a", { type, request_id: message.request_id, payload });
    reply("agent_stream_chunk", 1);
    reply("agent_response", 2);
  });
  const chunks = [];
  const response = a.mesh.request("b", { type: "agent_prompt" }, { onChunk: ({ payload }) => chunks.push(payload) });
  assert.equal((await world.settled("the response", response, 200)).payload, 2);
  assert.deepEqual(chunks, [1]);
  const late = assert.rejects(a.mesh.request("b", { type: "unheard" }, { timeout: 1000 }), { code: "no_response" });
  await world.settled("the request without an answer", late, 2000);
});

test("who is not there can't be sent anything", async () => {
  const world = new World();
  const a = await join(world, "a");
  const refused = assert.rejects(a.mesh.send("nobody", { type: "t" }), { code: "unknown_peer", peer: "nobody" });
  await world.settled("the message to nobody", refused, 2000);
  await assert.rejects(a.mesh.send("nobody", { payload: 1 }), { code: "bad_message" });
});

test("a message that is too large is refused, and the next goes on", async () => {
  const world = new World();
  const [a, b] = await pair(world);
  const large = assert.rejects(a.mesh.send("b", { type: "t", payload: "x".repeat(300000) }), { code: "message_too_large", limit: 262144 });
  a.mesh.send("b", { type: "t", payload: 1 });
  await world.settled("the large message", large, 500);
  await world.run(500);
  assert.deepEqual(numbers(b, "a"), [1]);
});

test("a path that is cut is noticed, and the session goes on", async () => {
  const world = new World();
  const [a, b] = await pair(world);
  world.cut("b");
  const sent = a.mesh.send("b", { type: "t", payload: 1 });
  await world.until(() => !isConnected(a, "b"), 8000);
  await world.run(5000);
  world.mend("b");
  await world.until(() => isConnected(a, "b"));
  await world.settled("what was sent without a path", sent, 3000);
  assert.deepEqual(numbers(b, "a"), [1]);
  const states = a.seen.events.filter(({ type }) => type.startsWith("peer"));
  assert.deepEqual(states.map(({ type, resumed }) => [type, resumed]), [["peerconnected", false], ["peerdisconnected", undefined], ["peerconnected", true]]);
});

test("without a path for a minute what was sent is reported", async () => {
  const world = new World();
  const [a] = await pair(world);
  world.cut("b");
  const lost = assert.rejects(a.mesh.send("b", { type: "t" }), { code: "connection_lost" });
  await world.settled("what was sent", lost, 70000);
});

test("a process that takes another's place begins anew", async () => {
  const world = new World();
  const [a, b] = await pair(world);
  await world.settled("the first message", a.mesh.send("b", { type: "t", payload: 1 }), 500);
  world.cut("b");
  const lost = assert.rejects(a.mesh.send("b", { type: "t", payload: 2 }), { code: "connection_lost" });
  b.mesh.close();
  world.mend("b");
  const again = await join(world, "b");
  await world.until(() => isConnected(a, "b") && isConnected(again, "a"));
  await world.settled("what the first process was sent", lost);
  a.mesh.send("b", { type: "t", payload: 3 });
  await world.run(500);
  assert.deepEqual(numbers(again, "a"), [3]);
});

test("crossing offers leave one connection", async () => {
  const world = new World();
  const [a, b] = await Promise.all([join(world, "a"), join(world, "b")]);
  await world.until(() => isConnected(a, "b") && isConnected(b, "a"));
  await world.run(3000);
  const open = world.connections.filter(({ connectionState }) => connectionState === "connected");
  assert.equal(open.length, 2, "both ends of one connection");
  a.mesh.send("b", { type: "t", payload: 1 });
  b.mesh.send("a", { type: "t", payload: 2 });
  await world.run(500);
  assert.deepEqual([numbers(a, "b"), numbers(b, "a")], [[2], [1]]);
});

test("the registry's absence changes nothing, and a connection is replaced by way of a third peer", async () => {
  const world = new World();
  const [a, b] = await pair(world);
  const c = await join(world, "c");
  await world.until(() => isConnected(a, "c") && isConnected(b, "c"));
  world.setRegistry(false);
  await world.run(1000);
  const between = world.connections.find((side) => side.name === "a" && side.other?.name === "b" && side.connectionState === "connected");
  between.fail();
  between.other.fail();
  await world.run(500);
  await world.until(() => isConnected(a, "b") && isConnected(b, "a"), 20000);
  const sent = a.mesh.send("b", { type: "t", payload: 1 });
  await world.settled("the message", sent, 500);
  assert.deepEqual(numbers(b, "a"), [1]);
  assert.equal(c.seen.messages.length, 0);
});

test("of two with one name the first leaves the place to the second", async () => {
  const world = new World();
  const first = await join(world, "a");
  await join(world, "a");
  await world.run(10000);
  const states = first.seen.events.filter(({ type }) => type === "registry").map(({ state }) => state);
  assert.deepEqual(states, ["connected", "replaced"]);
});

test("with the same secret peers talk, without it they do not", async () => {
  const world = new World();
  const [a, b] = await pair(world, { a: { secret: "s" }, b: { secret: "s" } });
  a.mesh.send("b", { type: "t", payload: 1 });
  await world.run(500);
  assert.deepEqual(numbers(b, "a"), [1]);
  for (const secret of ["other", undefined]) {
    const name = `z-${secret}`;
    const stranger = await join(world, name, { secret });
    const refused = assert.rejects(a.mesh.send(name, { type: "t" }), { code: "untrusted_peer" });
    await world.until(() => a.seen.events.some(({ type, peer }) => type === "untrusted" && peer === name));
    await world.settled(`the message to ${name}`, refused);
    assert.ok(!isConnected(a, name));
    stranger.mesh.close();
  }
});

test("whatever happens to connections, all arrives once and in order", async (context) => {
  let failures = 0;
  const note = (error) => {
    failures += 1;
    throw error;
  };
  for (let seed = 1; seed <= SEEDS && failures < FAILURES; seed += 1) {
    await context.test(`seed ${seed}`, () => walk(seed).catch(note));
  }
});

/** Does random things to a mesh of three for half a minute. */
async function walk(seed) {
  const world = new World(seed);
  Math.random = () => world.random();
  const names = ["a", "b", "c"];
  const secret = seed % 3 === 0 ? "s" : undefined;
  const peers = new Map();
  for (const name of names) peers.set(name, await join(world, name, { secret }));
  await world.until(() => names.every((name) => names.every((other) => other === name || isConnected(peers.get(name), other))));
  const sent = new Map();
  const failures = [];
  const pick = (list) => list[Math.floor(world.random() * list.length)];
  for (let turn = 0; turn < 60; turn += 1) {
    const dice = world.random();
    if (dice < 0.6) {
      const [from, to] = pick([["a", "b"], ["b", "a"], ["a", "c"], ["c", "a"], ["b", "c"], ["c", "b"]]);
      const list = sent.get(from + to) ?? sent.set(from + to, []).get(from + to);
      for (let count = Math.ceil(world.random() * 20); count > 0; count -= 1) {
        list.push(list.length);
        peers.get(from).mesh.send(to, { type: "t", payload: list.length - 1, filler: "x".repeat(world.random() * 9000) })
          .catch((error) => failures.push(`${from} to ${to}: ${error.code} ${error.message}`));
      }
    } else if (dice < 0.7) world.cut(pick(names));
    else if (dice < 0.82) world.mend(...names);
    else if (dice < 0.9) world.failConnections();
    else if (dice < 0.95) world.setRegistry(!world.isRegistryUp);
    else world.latency = pick([2, 10, 100, 400]);
    await world.run(world.random() * 1000);
  }
  world.latency = 10;
  world.mend(...names);
  world.setRegistry(true);
  const all = () => [...sent].every(([[from, to], list]) => numbers(peers.get(to), from).length >= list.length);
  const isSettled = () => [...peers.values()].every(({ mesh }) => mesh.peers.every(({ queued }) => queued.messages === 0));
  await world.until(() => failures.length > 0 || (all() && isSettled()), 60000);
  await world.run(5000); // What came twice would come now.
  assert.deepEqual(failures, []);
  for (const [[from, to], list] of sent) assert.deepEqual(numbers(peers.get(to), from), list, `${from} to ${to}`);
  for (const { mesh } of peers.values()) mesh.close();
}
