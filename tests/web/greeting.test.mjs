// The module against a peer whose every word a test decides: which connection carries the session, and what is settled when.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Mesh } from "../../web/chatixia.js";
import { SESSION, Scripted } from "./scripted.mjs";
import { World } from "./world.mjs";

/** A peer of each kind, and the offer that the module has made to the scripted one. */
async function meet(name, options) {
  const world = new World();
  const peer = await new Scripted(world, name, options).join();
  const mesh = new Mesh({ registry: "http://registry/", key: "m", runtime: world.runtime("m") });
  const messages = [];
  mesh.addEventListener("message", ({ detail }) => messages.push(detail.message.payload));
  await world.settled("the module joins", mesh.connect());
  return { world, mesh, messages, peer, offer: await peer.offered() };
}

const isConnected = (mesh) => mesh.peers[0].state === "connected";

/** Goes as far as the module's hello on a connection that it has offered. */
async function proposed({ world, peer }, offer) {
  const link = await peer.answer("m", offer);
  await world.until(() => link.hello);
  return link;
}

/** Lets the module take the connection that it has proposed. */
async function taken(met) {
  const link = await proposed(met, met.offer);
  link.tell({ hello: { session: SESSION, received: 0 } });
  await met.world.until(() => isConnected(met.mesh));
  return link;
}

test("of two proposals that cross, that of the smaller name is taken", async () => {
  for (const [name, isSmaller] of [["a", true], ["z", false]]) {
    const met = await meet(name);
    const { world, mesh, peer } = met;
    const ours = await proposed(met, met.offer);
    const theirs = await peer.offer("m", "theirs");
    await world.until(() => theirs.isOpen);
    theirs.tell({ hello: { session: SESSION, received: 0 } });
    const [loser, winner] = isSmaller ? [ours, theirs] : [theirs, ours];
    await world.until(() => loser.isClosed);
    if (isSmaller) await world.until(() => theirs.hello);
    else assert.equal(theirs.hello, undefined, "from its hello on it would take nothing on the other");
    assert.ok(!winner.isClosed);
    if (!isSmaller) ours.tell({ hello: { session: SESSION, received: 0 } });
    await world.until(() => isConnected(mesh));
    assert.equal(mesh.peers[0].role, isSmaller ? "answerer" : "offerer");
    const sent = mesh.send(name, { type: "t", payload: 1 });
    await world.until(() => winner.messages.length === 1);
    winner.tell({ ack: 1, window: 65536 });
    await world.settled("a message on the winner", sent);
    mesh.close();
  }
});

test("the connection that was taken ends those that were under way beside it", async () => {
  const met = await meet("a");
  const { world, mesh, peer } = met;
  const ours = await peer.answer("m", met.offer);
  const theirs = peer.offer("m", "theirs");
  await world.until(() => ours.hello);
  ours.tell({ hello: { session: SESSION, received: 0 } });
  const late = await world.settled("the answer", theirs);
  await world.until(() => isConnected(mesh));
  await world.run(3000);
  assert.deepEqual([late.hello, late.isOpen, ours.isClosed], [undefined, false, false]);
  assert.equal(mesh.peers[0].role, "offerer");
  mesh.close();
});

test("a connection that comes later takes the place of one that seems well", async () => {
  const met = await meet("z");
  const { world, mesh, peer, messages } = met;
  const first = await taken(met);
  first.send({ type: "t", payload: 1 });
  const kept = mesh.send("z", { type: "t", payload: "ours" });
  await world.until(() => messages.length === 1 && first.messages.length === 1);
  // The peer can know that the first is dead before we do.
  const second = await peer.offer("m", "second");
  await world.until(() => second.isOpen);
  second.tell({ hello: { session: SESSION, received: 0 } });
  await world.until(() => second.hello && first.isClosed);
  assert.equal(second.hello.received, 1);
  await world.until(() => second.messages.length === 1);
  second.tell({ ack: 1, window: 65536 });
  await world.settled("what the first has carried", kept);
  second.send({ type: "t", payload: 2 });
  await world.until(() => messages.length === 2);
  mesh.close();
});

test("a peer that has another session than it announced is counted from its first message", async () => {
  const met = await meet("z");
  const { world, mesh, messages, peer } = met;
  const first = await taken(met);
  first.send({ type: "t", payload: 1 });
  await world.until(() => messages.length === 1);
  first.pc.fail();
  first.pc.other.fail();
  const second = await proposed(met, await peer.offered());
  assert.equal(second.hello.received, 1, "for the session that its description has named");
  second.tell({ hello: { session: "another", received: 0 } });
  await world.until(() => isConnected(mesh));
  second.send({ type: "t", payload: "first of the other" });
  await world.until(() => messages.length === 2);
  mesh.close();
});

test("what an older connection has carried is settled when the new one has repeated it", async () => {
  const met = await meet("z");
  const { world, mesh, peer } = met;
  const first = await taken(met);
  let settled = 0;
  const receipts = [1, 2].map((payload) => mesh.send("z", { type: "t", payload }).then((receipt) => (settled += 1) && receipt));
  await world.until(() => first.messages.length === 2);
  first.pc.fail();
  first.pc.other.fail();
  const second = await proposed(met, await peer.offered());
  second.setClogged(true);
  // Its agent takes them only now, so its hello tells of none.
  second.tell({ hello: { session: SESSION, received: 0 } });
  await world.until(() => isConnected(mesh));
  second.tell({ ack: 2, window: 65536 });
  await world.run(500);
  assert.equal(settled, 0, "the new connection counts both, and has to carry them");
  second.setClogged(false);
  const expected = { target_peer: "z", receipt: "agent" };
  assert.deepEqual(await world.settled("both messages", Promise.all(receipts)), [expected, expected]);
  await world.until(() => second.messages.length === 2);
  mesh.close();
});

test("a message to another make is settled when the channel has taken it", async () => {
  const met = await meet("other", { speaksSessions: false });
  const { world, mesh, messages, peer } = met;
  const link = await peer.answer("m", met.offer);
  await world.until(() => isConnected(mesh));
  const expected = { target_peer: "other", receipt: "sent" };
  assert.deepEqual(await world.settled("a message", mesh.send("other", { type: "t", payload: 1 })), expected);
  link.setClogged(true);
  let isSettled = false;
  const second = mesh.send("other", { type: "t", payload: 2 }).finally(() => (isSettled = true));
  await world.run(500);
  assert.ok(!isSettled, "the channel is full");
  assert.equal(mesh.peers[0].queued.messages, 1);
  link.setClogged(false);
  assert.deepEqual(await world.settled("the message that waited", second), expected);
  assert.equal(mesh.peers[0].queued.messages, 0);
  await world.until(() => link.messages.length === 2);
  link.send({ type: "t", payload: 3 });
  await world.until(() => messages.length === 1);
  mesh.close();
});

test("an offer of another make that came too late to get ours is no loss of seconds", async () => {
  const met = await meet("other", { speaksSessions: false });
  const { world, mesh, peer } = met;
  const offer = new peer.runtime.RTCPeerConnection({ certificates: peer.certificates() });
  await offer.setLocalDescription(await offer.createOffer());
  peer.signal("m", "offer", offer);
  const begun = world.now;
  // It answers only what comes from now on, as one that has just come back.
  const link = await peer.answer("m", await peer.offered());
  await world.until(() => isConnected(mesh) && link.isOpen);
  assert.ok(world.now - begun < 3000, `after ${world.now - begun} ms`);
  mesh.close();
});

test("crossing offers of another make leave the one that it has answered", async () => {
  const met = await meet("other", { speaksSessions: false });
  const { world, mesh, peer } = met;
  const offer = new peer.runtime.RTCPeerConnection({ certificates: peer.certificates() });
  await offer.setLocalDescription(await offer.createOffer());
  peer.signal("m", "offer", offer);
  await world.run(100);
  const link = await peer.answer("m", met.offer);
  await world.until(() => isConnected(mesh) && link.isOpen);
  await world.run(20000);
  assert.deepEqual([peer.offers.length, peer.answers.length, mesh.peers[0].role], [0, 0, "offerer"]);
  mesh.close();
});
