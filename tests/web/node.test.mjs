// The module in Node, on a WebRTC package in place of a browser's, as docs/browser.md tells it, with real sidecars.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { RTCPeerConnection } from "werift";
import WebSocket from "ws";
import { Mesh } from "../../web/chatixia.js";
import { Registry, Sidecar, endAll, until } from "./programs.mjs";

after(endAll);

/** Remembers its connections, so that they can be ended. */
const made = [];
class Connection extends RTCPeerConnection {
  constructor(configuration) {
    super(configuration);
    made.push(this);
  }
}

test("in Node it talks to sidecars in both roles, and its sessions outlive connections", { timeout: 60000 }, async () => {
  // The relay is a STUN server, too. Without one werift asks one of the internet, and waits five seconds.
  const registry = await new Registry().start({ flags: ["--relay", "--relay-allow", "10.77.0.0/16"] });
  const [early, late] = ["early-sidecar", "late-sidecar"].map((name) => new Sidecar(name, registry));
  for (const sidecar of [early, late]) await sidecar.plug();
  await early.start();
  const mesh = new Mesh({ registry: registry.page, key: "node", runtime: { RTCPeerConnection: Connection, WebSocket } });
  await mesh.connect();
  const peer = ({ name }) => mesh.peers.find(({ id }) => id === name);
  const isConnected = (sidecar) => peer(sidecar)?.state === "connected";
  await until("the peer that was there before", () => isConnected(early));
  await late.start();
  await until("the peer that comes later", () => isConnected(late));
  assert.deepEqual([early, late].map((sidecar) => peer(sidecar).role), ["offerer", "answerer"]);

  for (const sidecar of [early, late]) {
    const { name } = sidecar;
    const ask = async () => (await mesh.request(name, { type: "agent_prompt", payload: { text: "Are you there?" } })).payload.text;
    assert.equal(await ask(), `${name} has read: Are you there?`);
    assert.equal((await mesh.path(name)).kind, "host");
    const { since } = peer(sidecar);
    const count = made.length;
    const connection = made.find(({ connectionState }) => connectionState === "connected");
    await connection.close();
    const { receipt } = await mesh.send(name, { type: "ping" });
    assert.equal(receipt, "agent");
    await until("another connection", () => peer(sidecar).restarts === 1);
    assert.ok(made.length > count);
    assert.equal(peer(sidecar).since, since, "the session goes on");
    assert.equal(await ask(), `${name} has read: Are you there?`);
  }
  mesh.close();
});
