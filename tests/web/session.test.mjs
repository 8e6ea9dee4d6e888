// The session by itself, and what is read of the wire.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { Session } from "../../web/session.js";
import { MeshError, fingerprint, isSmaller, proof, readTicket } from "../../web/wire.js";

const message = (bytes = 10) => ({ text: "", bytes, settle: () => {} });

function sessionWith(count, { written = count } = {}) {
  const session = new Session();
  session.greet("theirs", 0, session.own, true);
  for (let number = 0; number < count; number += 1) session.push(message());
  for (let number = 0; number < written; number += 1) session.next(true) && session.written();
  return session;
}

test("what is acknowledged leaves the outbox", () => {
  const session = sessionWith(3);
  assert.equal(session.acknowledge(2, 1000).length, 2);
  assert.deepEqual([session.acknowledged, session.outbox.length, session.queuedBytes], [2, 1, 10]);
});

test("an acknowledgement that can't be true is one of another process", () => {
  assert.equal(sessionWith(3).acknowledge(4, 1000), null);
  const session = sessionWith(3);
  session.acknowledge(2, 1000);
  assert.equal(session.acknowledge(1, 1000), null);
});

test("the window holds back what does not fit, but never a message that is alone", () => {
  const session = sessionWith(0);
  session.acknowledge(0, 15);
  session.push(message(100));
  session.push(message(10));
  assert.notEqual(session.next(true), null);
  session.written();
  assert.equal(session.next(true), null);
  assert.notEqual(session.next(false), null, "another make has no window");
  session.acknowledge(1, 0);
  assert.equal(session.next(true), null, "a window of nothing");
});

test("a new connection repeats what was not taken", () => {
  const session = sessionWith(5);
  session.suspend();
  const greeting = session.greet("theirs", 3, session.own, false);
  assert.deepEqual([greeting.resumed, greeting.settled.length, session.outbox.length, session.handed], [true, 3, 2, 0]);
});

test("an acknowledgement of what an older connection has carried waits until it is repeated", () => {
  const session = sessionWith(3);
  session.suspend();
  session.greet("theirs", 0, session.own, false);
  assert.deepEqual(session.acknowledge(2, 1000), []);
  assert.equal(session.written().length, 1);
  assert.equal(session.written().length, 1);
  assert.equal(session.written().length, 0);
});

test("another process, or one with another certificate, begins anew and what was written is lost", () => {
  for (const [theirs, isOther] of [["another", false], ["theirs", true]]) {
    const session = sessionWith(3, { written: 2 });
    const old = session.own;
    session.suspend();
    const told = session.hello(theirs, isOther).session;
    const greeting = session.greet(theirs, 0, told, isOther);
    assert.deepEqual([greeting.resumed, greeting.lost.length, session.outbox.length, session.taken], [false, 2, 1, 0]);
    assert.notEqual(told, old, "the process before it may come back and count on");
  }
});

test("each message is taken once", () => {
  const session = new Session();
  assert.deepEqual([1, 1, 3, 2, 3].map((number) => session.accept(number)), [true, false, false, true, true]);
});

test("the proof is the contract's", async () => {
  const about = { conn: "c0ffee", role: "offerer", own: "AA:BB", theirs: "CC:DD", session: "5e5510" };
  const text = "chatixia-mesh-proof-1\nc0ffee\nofferer\nAA:BB\nCC:DD\n5e5510\n";
  assert.equal(await proof("the secret", about), createHmac("sha256", "the secret").update(text).digest("hex"));
  assert.equal(await proof("the secret", about), "1e2806e2a08867f0a44d02f82262b4c0568fc1c0762ad1803fe79ce439b9f91f");
  assert.notEqual(await proof("the secret", { ...about, role: "answerer" }), await proof("the secret", about));
});

test("a fingerprint is read if there is exactly one", () => {
  const bytes = Array.from({ length: 32 }, (_, index) => (index + 160).toString(16)).join(":");
  const line = `a=fingerprint:sha-256 ${bytes}\r\n`;
  assert.equal(fingerprint(`v=0\r\n${line}m=application\r\n`), bytes.toUpperCase());
  for (const bad of ["v=0\r\n", line + line, line.replace("256", "512"), line.replace("a0:", ""), `${line}a=FINGERPRINT:x\r\n`]) assert.equal(fingerprint(bad), null);
});

test("names are compared by their bytes", () => {
  assert.ok(isSmaller("a", "b") && isSmaller("a", "aa") && !isSmaller("b", "a") && !isSmaller("a", "a"));
  assert.ok(isSmaller("\uffee", "\u{10000}"), "not by the halves of letters in UTF-16");
});

test("a ticket gives registry and key, and what is none is refused", () => {
  const ticket = (content) => `chatixia1-${Buffer.from(JSON.stringify(content)).toString("base64url")}`;
  assert.deepEqual(readTicket(` ${ticket({ registry: "https://host/mesh", key: "ak_ü?>" })}\n`), { registry: "https://host/mesh", key: "ak_ü?>" });
  for (const bad of ["", "chatixia1-", "chatixia1-%%", ticket({}), ticket({ registry: "ftp://host", key: "k" }), ticket([1]), ticket({ registry: "https://host", key: 1 })]) {
    assert.throws(() => readTicket(bad), MeshError, bad);
  }
});
