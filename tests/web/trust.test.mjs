// What counts before a peer has shown who it is, in simulated time: registries that rename, mirror and invent, peers that
// prove nothing, and certificates that can't be told apart.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Mesh } from "../../web/chatixia.js";
import { Session } from "../../web/session.js";
import { isId, isProof, proof } from "../../web/wire.js";
import { World } from "./world.mjs";

const BOTH = { a: { secret: "s" }, b: { secret: "s" } };

async function join(world, name, { runtime = world.runtime(name), ...options } = {}) {
  const mesh = new Mesh({ registry: "http://registry/", key: name, runtime, ...options });
  const [messages, events] = [[], []];
  mesh.addEventListener("message", ({ detail }) => messages.push(detail.message.payload));
  for (const type of ["peerconnected", "peerdisconnected", "registry", "untrusted"]) {
    mesh.addEventListener(type, ({ detail }) => events.push({ type, ...detail }));
  }
  const connected = mesh.connect();
  await Promise.all([connected, world.until(() => events.some(({ state }) => state === "connected"))]);
  return { mesh, messages, events };
}

const isConnected = ({ mesh }, name) => mesh.peers.some(({ id, state }) => id === name && state === "connected");
const untrusted = ({ events }, peer) => events.filter((event) => event.type === "untrusted" && event.peer === peer).map(({ reason }) => reason);

async function pair(world, { a, b } = {}) {
  const peers = [await join(world, "a", a), await join(world, "b", b)];
  await world.until(() => isConnected(peers[0], "b") && isConnected(peers[1], "a"));
  return peers;
}

/** A runtime whose registry changes what goes to it, and what comes from it; a list stands for several frames. */
function changing(runtime, { sends = (frame) => frame, brings = (frame) => frame }) {
  const each = (changed, give) => [changed].flat().forEach((frame) => give(frame));
  const WebSocket = class extends runtime.WebSocket {
    send(text) {
      each(sends(JSON.parse(text)), (frame) => super.send(JSON.stringify(frame)));
    }
    bring(frame) {
      each(brings(structuredClone(frame)), (changed) => super.bring(changed));
    }
  };
  return { ...runtime, WebSocket };
}

/** A runtime that changes what is written to `mesh-control`. */
function telling(runtime, change) {
  const RTCPeerConnection = class extends runtime.RTCPeerConnection {
    constructor(configuration) {
      super(configuration);
      this.channels.push = (channel) => {
        const write = channel.send.bind(channel);
        if (channel.label === "mesh-control") channel.send = (text) => [change(JSON.parse(text))].flat().forEach((frame) => write(JSON.stringify(frame)));
        return Array.prototype.push.call(this.channels, channel);
      };
    }
  };
  return { ...runtime, RTCPeerConnection };
}

test("a hello tells its sender's name", async () => {
  const world = new World();
  const hellos = [];
  const a = { runtime: telling(world.runtime("a"), (frame) => (frame.hello && hellos.push(frame.hello), frame)) };
  await pair(world, { a });
  assert.deepEqual(hellos.map(({ peer_id }) => peer_id), ["a"]);
});

test("a registry that renames a peer is found out by those who share a secret", async () => {
  const world = new World();
  const renamed = (name) => (name === "b" ? "x" : name);
  const brings = ({ peer_id, payload, ...rest }) => ({ ...rest, peer_id: renamed(peer_id), payload: payload.peers ? { peers: payload.peers.map(renamed) } : payload });
  const sends = (frame) => ({ ...frame, ...(frame.target_id === "x" && { target_id: "b" }) });
  const a = await join(world, "a", { secret: "s", runtime: changing(world.runtime("a"), { sends, brings }) });
  const b = await join(world, "b", { secret: "s" });
  const refused = assert.rejects(a.mesh.send("x", { type: "t", payload: 1 }), { code: "untrusted_peer" });
  await world.run(3000);
  await refused;
  assert.match(untrusted(a, "x")[0], /calls itself b/);
  assert.deepEqual([isConnected(a, "x"), b.messages], [false, []]);
});

test("a registry that brings us ourselves as two others connects nothing", async () => {
  const world = new World();
  const other = { x: "y", y: "x" };
  const brings = (frame) => (frame.type === "peer_list" ? { ...frame, payload: { peers: ["x", "y"] } } : { ...frame, peer_id: other[frame.mirrored] });
  const sends = (frame) => (frame.target_id ? { ...frame, target_id: "a", mirrored: frame.target_id } : frame);
  const a = await join(world, "a", { secret: "s", mode: "lazy", runtime: changing(world.runtime("a"), { sends, brings }) });
  const refused = assert.rejects(a.mesh.send("x", { type: "t" }), { code: "untrusted_peer" });
  await world.run(3000);
  await refused;
  for (const name of ["x", "y"]) assert.ok(!isConnected(a, name), name);
  assert.match([...untrusted(a, "x"), ...untrusted(a, "y")].join(), /our own certificate/);
});

test("where there is a secret, a peer that tells no name is refused", async () => {
  const world = new World();
  const runtime = telling(world.runtime("b"), ({ hello, ...frame }) => (hello ? { hello: { ...hello, peer_id: undefined } } : frame));
  const a = await join(world, "a", { secret: "s" });
  await join(world, "b", { secret: "s", runtime });
  await world.until(() => untrusted(a, "b").length > 0);
  assert.match(untrusted(a, "b")[0], /does not tell its name/);
  assert.ok(!isConnected(a, "b"));
});

test("without a secret a peer may have no name, or one of its own", async () => {
  for (const peer_id of [undefined, "other"]) {
    const world = new World();
    const b = { runtime: telling(world.runtime("b"), ({ hello, ...frame }) => (hello ? { hello: { ...hello, peer_id } } : frame)) };
    await pair(world, { b });
  }
});

test("before its hello a peer is neither answered nor believed to rest", async () => {
  const world = new World();
  const told = [];
  const a = await join(world, "a", { secret: "s", runtime: telling(world.runtime("a"), (frame) => (told.push(frame), frame)) });
  const early = ({ hello, ...frame }) => (hello ? [{ ping: 1 }, { rest: true }, { hello: { ...hello, proof: "0".repeat(64) } }] : frame);
  await join(world, "b", { secret: "s", runtime: telling(world.runtime("b"), early) });
  // Who offers next is left to chance, and only who has offered tells something.
  await world.until(() => untrusted(a, "b").length > 1 && told.length > 0);
  assert.deepEqual(told.filter((frame) => "pong" in frame), []);
});

test("an offer that tells of another process costs no connection that is proven", async () => {
  const world = new World();
  const [a, b] = await pair(world, BOTH);
  const stranger = new (world.runtime("m").RTCPeerConnection)({});
  const description = await stranger.createOffer();
  await stranger.setLocalDescription(description);
  const socket = [...world.sockets].find(({ name }) => name === "a");
  socket.bring({ type: "offer", peer_id: "b", target_id: "a", payload: { sdp: description.sdp, v: 1, session: "another", conn: "c0ffee" } });
  await world.run(3000);
  const sent = a.mesh.send("b", { type: "t", payload: 1 });
  await world.run(500);
  await sent;
  assert.deepEqual(b.messages, [1]);
  assert.deepEqual([a, b].map(({ events }) => events.filter(({ type }) => type === "peerdisconnected")), [[], []]);
});

test("who stands in a peer's place and proves nothing does not cost what waits for it", async () => {
  const world = new World();
  const [a, b] = await pair(world, BOTH);
  world.cut("b");
  const payload = "x".repeat(20000);
  const sent = Promise.all(Array.from({ length: 100 }, () => a.mesh.send("b", { type: "t", payload })));
  // It comes by the registry's word, and over a path of its own.
  const runtime = { ...world.runtime("b"), RTCPeerConnection: world.runtime("m").RTCPeerConnection };
  const stranger = await join(world, "b", { secret: "other", runtime });
  await world.until(() => untrusted(a, "b").length > 0, 20000);
  stranger.mesh.close();
  world.mend("b");
  b.mesh.networkChanged();
  await world.run(20000);
  assert.equal((await sent).length, 100);
  assert.deepEqual([b.messages.length, stranger.messages], [100, []]);
});

test("who answers in a peer's place and proves nothing keeps that peer out for four seconds at most", async () => {
  const world = new World();
  const b = await join(world, "b", { secret: "s", mode: "lazy" });
  const stranger = new (world.runtime("m").RTCPeerConnection)({});
  const answer = async ({ peer_id, payload }) => {
    await stranger.setRemoteDescription({ type: "offer", sdp: payload.sdp });
    await stranger.setLocalDescription(await stranger.createAnswer());
    const socket = [...world.sockets].find(({ name }) => name === peer_id);
    socket.bring({ type: "answer", peer_id: "b", target_id: peer_id, payload: { sdp: stranger.localDescription.sdp, v: 1, session: "m", conn: payload.conn } });
  };
  let isTaken = false;
  const sends = (frame) => {
    if (frame.type !== "offer" || isTaken) return frame;
    isTaken = true;
    answer(frame);
    return [];
  };
  const a = await join(world, "a", { secret: "s", runtime: changing(world.runtime("a"), { sends }) });
  await world.run(4500);
  assert.equal(stranger.channels.length, 2, "our hello is out");
  assert.equal(stranger.connectionState, "connected");
  const sent = b.mesh.send("a", { type: "t", payload: 1 });
  await world.run(1000);
  assert.deepEqual(a.messages, [1]);
  await sent;
});

const WITHOUT_FINGERPRINT = {
  brings: (frame) => (frame.payload?.sdp ? { ...frame, payload: { ...frame.payload, sdp: frame.payload.sdp.replace(/a=fingerprint.*\r\n/, "") } } : frame),
};

test("certificates without a fingerprint prove nothing", async () => {
  const world = new World();
  const a = await join(world, "a", { secret: "s", runtime: changing(world.runtime("a"), WITHOUT_FINGERPRINT) });
  await join(world, "b", { secret: "s" });
  await world.until(() => untrusted(a, "b").length > 0);
  assert.match(untrusted(a, "b")[0], /fingerprint/);
});

test("with certificates that can't be told apart a session does not go on", async () => {
  const world = new World();
  const runtime = changing(world.runtime("a"), WITHOUT_FINGERPRINT);
  const [a, b] = await pair(world, { a: { runtime } });
  await Promise.all([b.mesh.send("a", { type: "t", payload: 1 }), world.run(500)]);
  world.failConnections();
  await world.run(5000);
  const begun = a.events.filter(({ type }) => type === "peerconnected").map(({ resumed }) => resumed);
  assert.ok(begun.length > 1);
  assert.deepEqual(begun.filter(Boolean), []);
  await Promise.all([b.mesh.send("a", { type: "t", payload: 2 }), world.run(500)]);
  assert.deepEqual(a.messages, [1, 2]);
});

test("a process with another certificate is told another session, and nothing of what we have", () => {
  const session = new Session();
  session.greet("theirs", 0, session.own, true);
  session.accept(1);
  const old = session.own;
  assert.deepEqual(session.hello("theirs", false), { session: old, received: 1 });
  const { session: told, received } = session.hello("theirs", true);
  assert.notEqual(told, old);
  assert.equal(received, 0);
  assert.equal(session.greet("theirs", 0, told, true).resumed, false);
});

test("only the right proof is one", async () => {
  const about = { conn: "c0ffee", role: "offerer", own: "AA:BB", theirs: "CC:DD", session: "5e5510" };
  const right = await proof("s", about);
  assert.equal(await isProof(right, "s", about), true);
  for (const wrong of [undefined, null, 1, "", [right], right.toUpperCase(), `${right}0`, `${right}\n`, right.slice(2), "0".repeat(64), "g".repeat(64)]) {
    assert.ok(!(await isProof(wrong, "s", about)), String(wrong));
  }
  assert.ok(!(await isProof(right, "other", about)));
});

test("an id is one line", () => {
  assert.ok(isId("x".repeat(64)));
  for (const bad of ["", "x".repeat(65), "a\nb", "a\0", 1, null]) assert.ok(!isId(bad), String(bad));
});
