// A peer of the mesh for browsers, without dependencies: what a sidecar does, as an ES module.
//
//   const mesh = new Mesh({ registry: "https://registry.example", key: "ak_..." });
//   mesh.addEventListener("message", ({ detail }) => console.log(detail.peer, detail.message));
//   await mesh.connect();
//   await mesh.send("pi-sidecar", { type: "ping" });
//
// It speaks parts 3 to 5 of docs/contract.md, in whose words this is written. docs/browser.md tells how to use it.

import { Peer, SUSPECT } from "./peer.js";
import { Registry } from "./registry.js";
import { MeshError, isName, isObject, randomId, readTicket } from "./wire.js";

export { MeshError, readTicket };

const PEERS = 256; // Kept,
const LISTED = 4096; // and known by name.
const STEP = 250; // In milliseconds.
const YEAR = 365 * 24 * 3600 * 1000;
// The fields that every message has (contract part 2).
const EMPTY = { request_id: "", source_agent: "", target_agent: "", payload: null };

/** Us, as a peer of the mesh. chatixia.d.ts lists options and events. */
export class Mesh extends EventTarget {
  #id = null;
  #expectedId;
  #certificates;
  #parts; // What peers and the registry share.
  #requests = new Map(); // Those that wait for a response, by peer and request_id.
  #timer = null;
  #steppedAt = 0;
  #networkChanged = () => this.networkChanged();

  constructor({ registry, key, deviceToken, peerId = null, secret = null, mode = "full", iceTransportPolicy = "all", runtime = {} }) {
    super();
    const rtc = runtime.RTCPeerConnection ?? globalThis.RTCPeerConnection;
    if (!rtc) throw new MeshError("no_webrtc", "This browser has no WebRTC, or it is switched off; another one is needed.");
    if (secret === "") throw new MeshError("bad_secret", "The secret is empty. Without one, give null.");
    const base = new URL(registry, globalThis.location?.href);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    this.#expectedId = peerId;
    this.#parts = {
      clock: { ...CLOCK, soon: nextTask(), ...runtime.clock },
      fetch: runtime.fetch ?? ((...request) => fetch(...request)),
      WebSocket: runtime.WebSocket ?? globalThis.WebSocket,
      peers: new Map(),
      roster: new Set(), // Who is online,
      listed: new Set(), // and who has ever been listed.
      isFull: mode === "full",
      isClosed: true,
      secret,
      configuration: { rtc, iceTransportPolicy }, // Of connections.
      own: () => this.#id,
      connected: () => this.#connected,
      report: (type, detail) => this.#report(type, detail),
      named: (id, iceServers) => this.#named(id, iceServers),
      list: (names, isNew) => this.#list(names, isNew),
      signaled: (frame) => this.#signaled(frame),
      deliver: (peer, message) => this.#deliver(peer, message),
      startedAnew: (peer) =>
        this.#endRequests((request) => request.peer === peer, "connection_lost", `${peer} was started anew and answers no more`),
    };
    const headers = deviceToken ? { "x-device-token": deviceToken } : { "x-api-key": key ?? peerId };
    this.#parts.registry = new Registry(base, headers, this.#parts);
  }

  /** Our name, once the registry has told it. */
  get peerId() {
    return this.#id;
  }

  /** What is known of each peer now. */
  get peers() {
    return [...this.#parts.peers.values()].map((peer) => peer.info);
  }

  get #connected() {
    return this.peers.filter(({ state }) => state === "connected").map(({ id }) => id);
  }

  /**
   * Connects to the registry and, unless the mode is "lazy", to all peers. Rejects if the registry can't be had. Called
   * again, it tries at once, also where another has taken our name's place.
   */
  async connect() {
    const { registry, clock, configuration } = this.#parts;
    if (!this.#parts.isClosed) return registry.isReplaced ? registry.connect() : this.networkChanged();
    this.#parts.isClosed = false;
    this.#steppedAt = clock.now();
    const timer = (this.#timer = clock.every(() => this.#step(), STEP));
    // All connections of a process bear one certificate: a session goes on with that alone.
    const made = configuration.rtc.generateCertificate?.({ name: "ECDSA", namedCurve: "P-256", expires: YEAR });
    this.#certificates ??= Promise.resolve(made).then((one) => one && [one], () => undefined);
    for (const [target, event] of networkEvents()) target.addEventListener(event, this.#networkChanged);
    try {
      await registry.connect();
    } catch (error) {
      if (timer === this.#timer) this.close(); // Unless it was, and another `connect` has followed.
      throw error;
    }
  }

  /** Ends all connections. What waits is reported as `shutting_down`. */
  close() {
    const { peers, registry, clock, roster } = this.#parts;
    if (this.#parts.isClosed) return;
    this.#parts.isClosed = true;
    clock.stop(this.#timer);
    for (const [target, event] of networkEvents()) target.removeEventListener(event, this.#networkChanged);
    registry.close();
    for (const peer of peers.values()) peer.close();
    peers.clear();
    roster.clear();
    this.#endRequests(() => true, "shutting_down", "this peer was closed");
  }

  /** Sends a message. Resolves with the receipt: `agent` when the peer's agent has it, `sent` when that can't be known. */
  async send(target, message) {
    if (typeof message?.type !== "string") throw new MeshError("bad_message", "A message is an object with a type, which is text.");
    const isIn = this.#id !== null && !this.#parts.isClosed;
    if (!isIn) throw new MeshError("shutting_down", "This peer is not connected.", { peer: target });
    const peer = isName(target) && target !== this.#id && this.#peer(target);
    if (!peer) throw new MeshError(peer === null ? "too_many_peers" : "unknown_peer", `${target} can't be sent anything`, { peer: target });
    const agent = (name) => name.replace(/-sidecar$/, "");
    return peer.send({ ...EMPTY, source_agent: agent(this.#id), target_agent: agent(target), ...message });
  }

  /** Sends a message and waits for the response with the same `request_id`. `onChunk` takes what is streamed before. */
  async request(target, message, { timeout = 60000, onChunk = () => {} } = {}) {
    const request_id = message?.request_id || randomId();
    const key = JSON.stringify([target, request_id]);
    if (this.#requests.has(key)) throw new MeshError("bad_message", `A response to ${request_id} is awaited already.`, { peer: target });
    return new Promise((resolve, reject) => {
      const request = { peer: target, resolve, reject, onChunk, until: this.#parts.clock.now() + timeout };
      this.#requests.set(key, request);
      this.send(target, { ...message, request_id }).catch((error) => {
        if (this.#requests.get(key) === request) this.#requests.delete(key);
        reject(error);
      });
    });
  }

  /** Sends a message to every connected peer. Resolves when it is known what became of all. */
  async broadcast(message) {
    const result = { delivered: [], failed: [] };
    const sendTo = (id) =>
      this.send(id, message).then(() => result.delivered.push(id), ({ code }) => result.failed.push({ peer_id: id, code }));
    await Promise.all(this.#connected.map(sendTo));
    return result;
  }

  /** The way to a connected peer, as the browser tells it; null without a connection. */
  async path(target) {
    return this.#parts.peers.get(target)?.current?.path() ?? null;
  }

  /** Who is connected to whom, as sidecars report it to the registry. */
  async topology() {
    const { peer_edges, mesh_edges } = await this.#parts.registry.ask("api/hub/network/topology", "GET");
    return peer_edges ?? mesh_edges ?? [];
  }

  /** Call this when the network has changed and the browser does not say so: peers and registry are asked at once. */
  networkChanged() {
    const { peers, registry } = this.#parts;
    registry.networkChanged();
    for (const { current } of peers.values()) current?.ask();
  }

  /** What is kept for a peer; null if that are too many. */
  #peer(id) {
    const { peers } = this.#parts;
    if (!peers.has(id) && peers.size < PEERS) peers.set(id, new Peer(id, this.#parts));
    return peers.get(id) ?? null;
  }

  // -- What the registry brings

  async #named(id, iceServers) {
    const expected = this.#expectedId ?? id;
    if (id !== expected) throw new MeshError("refused", `the key is that of ${id}, not of ${expected}`);
    const certificates = await this.#certificates;
    this.#id = id;
    // Those that were told before are better than none.
    const known = Array.isArray(iceServers) && { iceServers: iceServers.filter((one) => this.#isUsable(one)) };
    Object.assign(this.#parts.configuration, known, certificates && { certificates });
  }

  /** Whether the browser takes an ICE server: one that it does not take would cost all connections. */
  #isUsable(iceServer) {
    try {
      new this.#parts.configuration.rtc({ iceServers: [iceServer] }).close();
      return true;
    } catch ({ message }) {
      console.warn(`An ICE server is left out: ${message}`);
      return false;
    }
  }

  #list(names, isNew) {
    const { roster, listed, peers, isFull } = this.#parts;
    // While the registry was away, offers may have been lost.
    const before = new Set(isNew ? [] : roster);
    roster.clear();
    for (const name of names.filter((name) => isName(name) && name !== this.#id).slice(0, LISTED)) roster.add(name);
    if (listed.size > 2 * LISTED) listed.clear();
    if (isNew) this.#report("registry", { state: "connected", peer_id: this.#id });
    for (const name of roster) {
      listed.add(name);
      if (isFull) this.#peer(name);
    }
    for (const [id, peer] of peers) {
      peer.listed(roster.has(id), !before.has(id));
      if (peer.isForgettable && !roster.has(id)) peers.delete(id);
    }
    this.#report("peers", {});
  }

  #signaled({ type, peer_id: sender, payload }) {
    if (!isName(sender) || sender === this.#id || !isObject(payload) || this.#parts.isClosed) return;
    const { roster, listed } = this.#parts;
    const peer = this.#peer(sender);
    if (!peer) return;
    if (roster.size < LISTED) listed.add(sender) && roster.add(sender);
    peer.offers.signaled(type, payload, null);
  }

  // -- Messages, requests, time

  #deliver(peer, received) {
    const message = { ...EMPTY, ...received };
    const key = JSON.stringify([peer, message.request_id]);
    const request = this.#requests.get(key);
    if (request && message.type.endsWith("_stream_chunk")) this.#call(request.onChunk, message);
    else if (request && this.#requests.delete(key)) request.resolve(message);
    this.#report("message", { peer, message, isResponse: request !== undefined });
  }

  /** Calls what is not ours. What it throws is told as of a task of its own, and stops nothing here. */
  #call(act, argument) {
    try {
      act(argument);
    } catch (error) {
      this.#parts.clock.soon(() => {
        throw error;
      });
    }
  }

  #endRequests(condition, code, text) {
    for (const [key, request] of this.#requests) {
      if (condition(request) && this.#requests.delete(key)) request.reject(new MeshError(code, text, { peer: request.peer }));
    }
  }

  #step() {
    const { clock, peers, registry } = this.#parts;
    const now = clock.now();
    // While timers stood still, silence means nothing.
    if (now - this.#steppedAt > SUSPECT) for (const peer of peers.values()) peer.woke();
    this.#steppedAt = now;
    registry.step(now);
    for (const peer of peers.values()) peer.step();
    this.#endRequests(({ until }) => now > until, "no_response", "there was no response in time");
  }

  #report(type, detail) {
    if (type === "peerconnected" || type === "peerdisconnected") this.#parts.registry.tellPeers();
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const CLOCK = { now: () => performance.now(), every: (act, time) => setInterval(act, time), stop: (timer) => clearInterval(timer) };

/** Gives a function that runs another as the next task. Timers would wait up to a second in a page that is not seen. */
function nextTask() {
  if (globalThis.setImmediate) return (act) => setImmediate(act);
  const { port1, port2 } = new MessageChannel();
  const acts = [];
  port1.onmessage = () => acts.shift()();
  return (act) => acts.push(act) && port2.postMessage(null);
}

function networkEvents() {
  const { window, navigator, document } = globalThis;
  if (!window?.addEventListener) return [];
  const events = [[window, "online"], [window, "pageshow"], [document, "visibilitychange"]];
  return navigator.connection?.addEventListener ? [...events, [navigator.connection, "change"]] : events;
}
