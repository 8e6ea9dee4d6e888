// What others get wrong, in simulated time: callbacks that throw, registries that hang, browsers that refuse, peers that
// greet and go.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Mesh } from "../../web/chatixia.js";
import { SESSION, Scripted } from "./scripted.mjs";
import { World } from "./world.mjs";

function made(world, name, { runtime = {}, ...options } = {}) {
  const mesh = new Mesh({ registry: "http://registry/", key: name, runtime: { ...world.runtime(name), ...runtime }, ...options });
  const [messages, events] = [[], []];
  mesh.addEventListener("message", ({ detail }) => messages.push(detail.message));
  for (const type of ["registry", "untrusted", "connectionlost"]) {
    mesh.addEventListener(type, ({ detail }) => events.push({ at: world.now, type, ...detail }));
  }
  return { mesh, messages, events };
}

async function join(world, name, options) {
  const one = made(world, name, options);
  await world.settled(`${name} joins`, one.mesh.connect());
  return one;
}

const isConnected = ({ mesh }, name) => mesh.peers.some(({ id, state }) => id === name && state === "connected");
const states = ({ events }) => events.filter(({ type }) => type === "registry").map(({ state }) => state);
const codeOf = (promise) => promise.then(({ receipt }) => receipt, ({ code }) => code);

async function pair(world, options = {}) {
  const peers = [await join(world, "a", options.a), await join(world, "b", options.b)];
  await world.until(() => isConnected(peers[0], "b") && isConnected(peers[1], "a"));
  return peers;
}

test("a callback that throws costs no message", async () => {
  const world = new World();
  const scripted = await new Scripted(world, "s").join();
  const { mesh, messages } = await join(world, "a", { mode: "lazy" });
  const first = await scripted.offer("a", "1");
  await world.until(() => first.isOpen);
  first.tell({ hello: { session: SESSION, received: 0 } });
  await world.until(() => first.hello);
  const onChunk = () => {
    throw new Error("of a callback");
  };
  mesh.request("s", { type: "ask", request_id: "r" }, { onChunk }).catch(() => {});
  await world.run(100);
  const second = await scripted.offer("a", "2");
  await world.until(() => second.isOpen);
  for (const type of ["x_stream_chunk", "m1", "m2"]) second.send({ type, request_id: type === "x_stream_chunk" ? "r" : "" });
  await world.run(100);
  second.tell({ hello: { session: SESSION, received: 1 } });
  await assert.rejects(world.run(300), /of a callback/, "it is still told");
  second.send({ type: "m3" });
  second.tell({ ping: 7 });
  await world.run(1000);
  assert.deepEqual(messages.map(({ type }) => type), ["x_stream_chunk", "m1", "m2", "m3"]);
  assert.ok(second.frames.some(({ pong }) => pong === 7), "control frames are still read");
});

test("what has waited long behind a slow peer is not given up at the first loss", async () => {
  const world = new World();
  const [a] = await pair(world);
  const { channels } = world.connections.find(({ name, connectionState }) => name === "a" && connectionState === "connected");
  const channel = channels.find(({ label }) => label === "mesh");
  channel.bufferedAmount = 1e6;
  const sent = codeOf(a.mesh.send("b", { type: "t" }));
  await world.run(70000);
  channel.connection.fail();
  assert.equal(await world.settled("the message", sent), "agent");
});

/** A runtime whose channels throw at what is larger than `most()`. */
function refusing(world, name, most, error) {
  const runtime = world.runtime(name);
  const RTCPeerConnection = class extends runtime.RTCPeerConnection {
    constructor(configuration) {
      super(configuration);
      this.channels.push = (channel) => {
        const write = channel.send.bind(channel);
        channel.send = (data) => {
          if (data.length > most()) throw error;
          write(data);
        };
        return Array.prototype.push.call(this.channels, channel);
      };
    }
  };
  return { RTCPeerConnection };
}

test("the browser's own limit counts beside the peer's", async () => {
  const world = new World();
  const runtime = world.runtime("a");
  const RTCPeerConnection = class extends runtime.RTCPeerConnection {
    sctp = { maxMessageSize: 1000 };
  };
  const [a] = await pair(world, { a: { runtime: { RTCPeerConnection } } });
  const refused = assert.rejects(a.mesh.send("b", { type: "t", payload: "x".repeat(2000) }), { code: "message_too_large", limit: 1000 });
  await world.settled("the message", refused, 1000);
});

test("a message that the browser refuses fails alone", async () => {
  const errors = [[new TypeError("too large"), "message_too_large"], [new Error("no room"), "connection_lost"]];
  for (const [error, code] of errors) {
    const world = new World();
    const [a, b] = await pair(world, { a: { runtime: refusing(world, "a", () => 1000, error) } });
    const results = ["x".repeat(2000), "x"].map((payload) => codeOf(a.mesh.send("b", { type: "t", payload })));
    assert.deepEqual(await world.settled("both", Promise.all(results), 1000), [code, "agent"]);
    assert.deepEqual([b.messages.length, a.events.filter(({ type }) => type === "connectionlost").length], [1, 0]);
  }
});

test("a message that only a later connection refuses ends the session, once", async () => {
  const world = new World();
  let most = Infinity;
  const [a, b] = await pair(world, { a: { runtime: refusing(world, "a", () => most, new TypeError("too large")) } });
  world.cut("b");
  const sent = codeOf(a.mesh.send("b", { type: "t", payload: "x".repeat(2000) }));
  await world.run(100);
  most = 1000;
  world.failConnections();
  world.mend("b");
  assert.equal(await world.settled("the message", sent, 20000), "connection_lost");
  assert.equal(await world.settled("the next", codeOf(a.mesh.send("b", { type: "t" }))), "agent");
  assert.equal(b.messages.length, 1);
});

test("a browser that makes no connection is a failure of that try", async () => {
  const world = new World();
  const RTCPeerConnection = class {
    constructor() {
      throw new Error("an expired certificate");
    }
  };
  const { mesh } = await join(world, "a", { runtime: { RTCPeerConnection } });
  const b = await join(world, "b");
  await world.run(30000);
  assert.match(mesh.peers[0].failure, /an expired certificate/);
  const offers = world.connections.filter(({ name }) => name === "b").length;
  assert.ok(offers > 1 && offers < 30, `${offers} offers`);
  assert.ok(!isConnected(b, "a"));
});

test("an ICE server that the browser does not take is left out, and the certificate lasts a year", async (context) => {
  const warn = context.mock.method(console, "warn", () => {});
  const world = new World();
  const runtime = world.runtime("a");
  const asked = [];
  const RTCPeerConnection = class extends runtime.RTCPeerConnection {
    static generateCertificate = (about) => (asked.push(about), runtime.RTCPeerConnection.generateCertificate());
    constructor(configuration) {
      if (configuration.iceServers?.some(({ urls }) => urls.includes("bad"))) throw new SyntaxError("an invalid URL");
      super(configuration);
      this.iceServers = configuration.iceServers;
    }
  };
  const iceServers = [{ urls: "stun:bad" }, { urls: "stun:good" }];
  const fetch = async (url) => (url.pathname.endsWith("config") ? { ok: true, json: async () => ({ iceServers }) } : runtime.fetch(url));
  await pair(world, { a: { runtime: { RTCPeerConnection, fetch } } });
  const used = world.connections.filter(({ name, other }) => name === "a" && other);
  assert.deepEqual(used[0].iceServers, [{ urls: "stun:good" }]);
  assert.match(warn.mock.calls[0].arguments[0], /ICE server/);
  assert.equal(asked[0].expires, 365 * 24 * 3600 * 1000);
});

/** A runtime whose registry answers nothing for these paths while `isHanging()`. */
function hanging(world, name, isHanging) {
  const { fetch } = world.runtime(name);
  const asked = [];
  const answer = (url) => (asked.push(url.pathname), isHanging(url.pathname) ? new Promise(() => {}) : fetch(url));
  return { asked, runtime: { fetch: answer } };
}

test("a registry that does not answer fails the try, and is tried again", async () => {
  const world = new World();
  let isHanging = true;
  const { runtime } = hanging(world, "a", () => isHanging);
  const never = made(world, "a", { runtime });
  await world.settled("the first try", assert.rejects(never.mesh.connect(), { code: "registry", message: /does not answer/ }), 15000);
  isHanging = false;
  const a = await join(world, "a", { runtime });
  isHanging = true;
  world.setRegistry(false);
  await world.run(1000);
  world.setRegistry(true);
  isHanging = false;
  await world.run(20000);
  assert.deepEqual(states(a), ["connected", "disconnected", "disconnected", "connected"]);
});

test("a changed network replaces a try that is under way", async () => {
  const world = new World();
  let isHanging = false;
  const { runtime } = hanging(world, "a", () => isHanging);
  const a = await join(world, "a", { runtime });
  isHanging = true;
  world.setRegistry(false);
  await world.run(3000);
  world.setRegistry(true);
  isHanging = false;
  a.mesh.networkChanged();
  await world.run(1000);
  assert.deepEqual(states(a), ["connected", "disconnected", "connected"]);
});

test("a registry that does not tell its ICE servers is joined all the same", async () => {
  const world = new World();
  const { runtime } = hanging(world, "a", (path) => path.endsWith("config"));
  const { mesh } = made(world, "a", { runtime });
  await world.settled("the connection", mesh.connect(), 3000);
});

test("who was replaced comes back only when asked to", async () => {
  const world = new World();
  const first = await join(world, "a");
  const second = await join(world, "a");
  await world.run(200000);
  first.mesh.networkChanged();
  await world.run(200000);
  assert.deepEqual([states(first), states(second)], [["connected", "replaced"], ["connected"]]);
  await world.settled("the connection", first.mesh.connect());
  await world.run(200000);
  assert.deepEqual([states(first), states(second)], [["connected", "replaced", "connected"], ["connected", "replaced"]]);
});

test("an empty secret is an error", () => {
  assert.throws(() => made(new World(), "a", { secret: "" }), { code: "bad_secret" });
});

test("a peer that greets and goes, again and again, is tried more and more rarely", async () => {
  const world = new World();
  const scripted = await new Scripted(world, "s").join();
  await join(world, "a");
  let offers = 0;
  for (const end = world.now + 60000; world.now < end; await world.run(10)) {
    if (scripted.offers.length === 0) continue;
    offers += 1;
    const link = await scripted.answer("a", scripted.offers.shift());
    await world.until(() => link.hello);
    link.tell({ hello: { session: SESSION, received: 0 } });
    await world.run(30);
    link.pc.close();
  }
  assert.ok(offers > 3 && offers < 15, `${offers} offers in a minute`);
  // One that stays is a new beginning.
  const link = await scripted.answer("a", await scripted.offered());
  await world.until(() => link.hello);
  link.tell({ hello: { session: SESSION, received: 0 } });
  for (let second = 0; second < 10; second += 1) await world.run(1000).then(() => link.tell({ pong: 0 }));
  const lost = world.now;
  link.pc.close();
  await scripted.offered();
  assert.ok(world.now - lost < 1000, `${world.now - lost} ms`);
});

test("who closes and connects again is connected", async () => {
  const world = new World();
  const { mesh } = made(world, "a");
  const first = assert.rejects(mesh.connect(), { code: "registry" });
  mesh.close();
  const second = mesh.connect();
  await world.settled("both", Promise.all([first, second]));
  await join(world, "b");
  await world.until(() => isConnected({ mesh }, "b"));
});

test("more peers can be listed than are kept", async () => {
  const world = new World();
  for (let number = 0; number < 260; number += 1) await new Scripted(world, `p${number}`).join();
  const last = await join(world, "z", { mode: "lazy" });
  const a = await join(world, "a", { mode: "lazy" });
  assert.equal(await world.settled("the message", codeOf(a.mesh.send("z", { type: "t" }))), "agent");
  assert.equal(last.messages.length, 1);
});

test("candidates that came long before an offer take no place of its own", async () => {
  const world = new World();
  const scripted = await new Scripted(world, "s", { speaksSessions: false }).join();
  const taken = [];
  const RTCPeerConnection = class extends world.runtime("a").RTCPeerConnection {
    addIceCandidate = async ({ candidate }) => taken.push(candidate);
  };
  await join(world, "a", { mode: "lazy", runtime: { RTCPeerConnection } });
  const candidate = (text) => ({ type: "ice_candidate", peer_id: "s", target_id: "a", payload: { candidate: text } });
  const tell = (count, text) => {
    for (let number = 0; number < count; number += 1) scripted.socket.send(JSON.stringify(candidate(text)));
  };
  tell(64, "stale");
  await world.run(11000);
  tell(2, "early");
  await world.run(100);
  await world.settled("the answer", scripted.offer("a"));
  await world.run(100);
  assert.deepEqual(taken, ["early", "early"]);
});

test("of too many early candidates the latest are kept", async () => {
  const world = new World();
  const scripted = await new Scripted(world, "s").join();
  const taken = [];
  const RTCPeerConnection = class extends world.runtime("a").RTCPeerConnection {
    addIceCandidate = async ({ candidate }) => taken.push(candidate);
  };
  await join(world, "a", { mode: "lazy", runtime: { RTCPeerConnection } });
  const candidate = (conn) => ({ type: "ice_candidate", peer_id: "s", target_id: "a", payload: { candidate: conn, conn } });
  for (const conn of [...Array(64).fill("other"), "ours"]) scripted.socket.send(JSON.stringify(candidate(conn)));
  await world.run(100);
  await world.settled("the answer", scripted.offer("a", "ours"));
  await world.run(100);
  assert.deepEqual(taken, ["ours"]);
});

test("what can't be sent is a MeshError with a code", async () => {
  const world = new World();
  const { mesh } = made(world, "a");
  const connecting = mesh.connect();
  await assert.rejects(mesh.send("b", { type: "t" }), { name: "MeshError", code: "shutting_down" });
  await world.settled("the connection", connecting);
  const circular = { type: "t" };
  circular.payload = circular;
  await join(world, "b");
  for (const message of [circular, { type: "t", payload: 1n }, { type: "t", toJSON() {} }]) {
    await assert.rejects(mesh.send("b", message), { name: "MeshError", code: "bad_message", peer: "b" });
  }
  await assert.rejects(mesh.request("b", null), { name: "MeshError", code: "bad_message" });
});

test("what a message leaves out is added where it comes in", async () => {
  const world = new World();
  const scripted = await new Scripted(world, "s", { speaksSessions: false }).join();
  const a = await join(world, "a", { mode: "lazy" });
  const link = await scripted.offer("a");
  await world.until(() => link.mesh.readyState === "open");
  link.send({ type: "ping" });
  await world.until(() => a.messages.length > 0);
  assert.deepEqual(a.messages, [{ type: "ping", request_id: "", source_agent: "", target_agent: "", payload: null }]);
});

test("who proves nothing in time is not trusted", async () => {
  for (const role of ["answerer", "offerer"]) {
    const world = new World();
    const scripted = await new Scripted(world, "s").join();
    const { mesh, events } = await join(world, "a", { mode: "lazy", secret: "s" });
    if (role === "offerer") scripted.offer("a", "1");
    const sent = codeOf(mesh.send("s", { type: "t" }));
    if (role === "answerer") scripted.answer("a", await scripted.offered());
    assert.equal(await world.settled("the message", sent, 15000), "untrusted_peer");
    assert.match(events.find(({ type }) => type === "untrusted").reason, /has not proved the secret in time/);
  }
});

test("after each connection to the registry it is told with whom we are connected", async () => {
  const world = new World();
  const told = [];
  const WebSocket = class extends world.runtime("a").WebSocket {
    send(text) {
      const { type, payload } = JSON.parse(text);
      if (type === "heartbeat") told.push({ at: world.now, peers: payload.mesh_peers });
      super.send(text);
    }
  };
  const [a] = await pair(world, { a: { runtime: { WebSocket } } });
  await world.run(5000);
  world.setRegistry(false);
  await world.run(100);
  world.setRegistry(true);
  await world.until(() => states(a).length === 3);
  const before = told.length;
  await world.run(1000);
  assert.deepEqual(told.slice(before).map(({ peers }) => peers), [["b"]]);
});
