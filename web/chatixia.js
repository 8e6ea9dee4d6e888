// A peer of the mesh for browsers, without dependencies: what a sidecar does, as an ES module.
//
//   const mesh = new Mesh({ registry: "https://registry.example", key: "ak_..." });
//   mesh.addEventListener("message", ({ detail }) => console.log(detail.peer, detail.message));
//   await mesh.connect();
//   await mesh.send("pi-sidecar", { type: "ping" });
//
// It speaks parts 3 to 5 of docs/contract.md, in whose words this is written. docs/browser.md tells how to use it.

import { Peer, SUSPECT } from "./peer.js";
import { MeshError, fingerprint, isName, isObject, parse, pause, proof, randomId, readTicket } from "./session.js";

export { MeshError, fingerprint, proof, readTicket };

// Times are in milliseconds.
const PEERS = 256;
const STEP = 250;
const REGISTRY_RETRY = [300, 15000]; // The first pause between two tries, and the longest.
const REGISTRY = { patience: 5000, refresh: 60000, heartbeat: 15000, least: 500 };
const CONNECTED_AGAIN = "the same peer has connected again"; // What the registry says when another has come under our name.

/** The link to the registry: a token, then a WebSocket; both again whenever that ends. `to` takes what it brings. */
class Registry {
  isConnected = false;
  retryAt = null;
  #tries = 0;
  #socket = null;
  #generation = 0; // Tells answers to an earlier connection apart.
  #asked = null; // When the list was asked for, until it comes.
  #askAt = null;
  #askedLast = 0;
  #heartbeatAt = 0;

  constructor(base, headers, to) {
    Object.assign(this, { base, headers, to });
  }

  async ask(path, method) {
    const answer = await this.to.fetch(new URL(path, this.base), { method, headers: this.headers, cache: "no-store" });
    if (answer.status === 401) throw new MeshError("refused", `${this.base.host} does not take the key`);
    if (!answer.ok) throw new MeshError("registry", `${this.base.host} answers ${answer.status} for ${path}`);
    return answer.json();
  }

  /** Connects. The promise is that of this try; others follow when it fails, until `close`. */
  async connect() {
    const generation = ++this.#generation;
    this.retryAt = null;
    try {
      const config = this.ask("api/config", "GET").catch(() => ({}));
      const { token, peer_id } = await this.ask("api/token", "POST");
      const { iceServers } = await config;
      await this.to.named(peer_id, Array.isArray(iceServers) ? iceServers : []);
      if (generation !== this.#generation) throw new MeshError("registry", "the connection was closed meanwhile");
      const url = new URL("ws", this.base);
      url.protocol = url.protocol.replace("http", "ws");
      url.searchParams.set("token", token);
      await this.#open(url, generation);
    } catch (error) {
      if (generation === this.#generation) this.#ended(error);
      throw error;
    }
  }

  #open(url, generation) {
    return new Promise((resolve, reject) => {
      const socket = new this.to.WebSocket(url);
      const isCurrent = () => generation === this.#generation;
      this.#socket = socket;
      this.#asked = this.to.clock.now();
      socket.onopen = () => isCurrent() && this.#register();
      socket.onmessage = ({ data }) => {
        const frame = isCurrent() && parse(data);
        if (!isObject(frame)) return;
        if (frame.type !== "peer_list") return this.to.signaled(frame);
        const isNew = !this.isConnected;
        this.#asked = null;
        this.#tries = 0;
        this.isConnected = true;
        this.to.listed(Array.isArray(frame.payload?.peers) ? frame.payload.peers : [], isNew);
        resolve();
      };
      socket.onclose = ({ reason }) => {
        const error = new MeshError(reason === CONNECTED_AGAIN ? "replaced" : "registry", reason || `the connection to ${this.base.host} has ended`);
        if (isCurrent()) this.#ended(error);
        reject(error);
      };
    });
  }

  #ended(error) {
    this.close();
    // Two with one name would take the registry's place for it from each other for ever.
    const wait = error.code === "refused" || error.code === "replaced" ? REGISTRY.refresh : pause(REGISTRY_RETRY, this.#tries++);
    this.retryAt = this.to.clock.now() + wait;
    this.to.report("registry", { state: error.code === "registry" || !error.code ? "disconnected" : error.code, reason: error.message });
  }

  close() {
    this.#generation += 1;
    this.#socket?.close();
    this.#socket = this.#asked = this.#askAt = this.retryAt = null;
    this.isConnected = false;
  }

  send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #register() {
    this.#askAt = null;
    this.#asked = this.#askedLast = this.to.clock.now();
    this.send({ type: "register", peer_id: this.to.own(), payload: {} });
  }

  /** Asks soon who is online. */
  askForList() {
    if (this.isConnected && this.#asked === null) this.#askAt ??= this.#askedLast + REGISTRY.least;
  }

  /** Tells soon with whom we are connected. */
  tellPeers() {
    this.#heartbeatAt = Math.min(this.#heartbeatAt, this.to.clock.now() + REGISTRY.least);
  }

  step(now) {
    if (this.retryAt !== null && now >= this.retryAt) this.connect().catch(() => {});
    if (this.#asked !== null && now - this.#asked > REGISTRY.patience) this.#ended(new MeshError("registry", `${this.base.host} is silent`));
    if (!this.isConnected || this.#asked !== null) return;
    if (now >= (this.#askAt ?? this.#askedLast + REGISTRY.refresh)) this.#register();
    if (now < this.#heartbeatAt) return;
    this.#heartbeatAt = now + REGISTRY.heartbeat;
    this.send({ type: "heartbeat", peer_id: this.to.own(), payload: { mesh_peers: this.to.connected() } });
  }
}

/** Us, as a peer of the mesh. chatixia.d.ts lists options and events. */
export class Mesh extends EventTarget {
  #id = null;
  #configuration; // Of connections.
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
    const base = new URL(registry, globalThis.location?.href);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    const headers = deviceToken ? { "x-device-token": deviceToken } : { "x-api-key": key ?? peerId };
    this.expectedId = peerId;
    this.#configuration = { rtc, iceTransportPolicy };
    const shared = {
      clock: { ...CLOCK, soon: nextTask(), ...runtime.clock },
      own: () => this.#id,
      report: (type, detail) => this.#report(type, detail),
    };
    const link = new Registry(base, headers, {
      ...shared,
      fetch: runtime.fetch ?? ((...request) => fetch(...request)),
      WebSocket: runtime.WebSocket ?? globalThis.WebSocket,
      named: (id, iceServers) => this.#named(id, iceServers),
      listed: (names, isNew) => this.#listed(names, isNew),
      signaled: (frame) => this.#signaled(frame),
      connected: () => this.#connected,
    });
    this.#parts = {
      ...shared,
      registry: link,
      peers: new Map(),
      roster: new Set(), // Who is online,
      listed: new Set(), // and who has ever been listed.
      isFull: mode === "full",
      isClosed: true,
      secret,
      configuration: () => this.#configuration,
      deliver: (peer, message) => this.#deliver(peer, message),
      startedAnew: (peer) => this.#endRequests((request) => request.peer === peer, "connection_lost", `${peer} was started anew and answers no more`),
    };
  }

  /** Our name, once the registry has told it. */
  get peerId() {
    return this.#id;
  }

  /** What is known of each peer now. */
  get peers() {
    return [...this.#parts.peers.values()].map((peer) => ({
      id: peer.id,
      state: peer.isReachable ? "connected" : peer.hasMet ? "unreachable" : peer.connections.size > 0 ? "connecting" : "waiting",
      isOnline: this.#parts.roster.has(peer.id),
      since: peer.since,
      role: peer.lastRole,
      speaksSessions: peer.speaksSessions,
      fingerprint: peer.fingerprint,
      failure: peer.failure,
      isProven: this.#parts.secret !== null && peer.isReachable,
      roundTrip: peer.roundTrip,
      restarts: peer.restarts,
      queued: { messages: peer.session.outbox.length, bytes: peer.session.queuedBytes },
      sent: { ...peer.sent },
      received: { ...peer.taken },
    }));
  }

  get #connected() {
    return this.peers.filter(({ state }) => state === "connected").map(({ id }) => id);
  }

  /** Connects to the registry and, unless the mode is "lazy", to all peers. Rejects if the registry can't be had. */
  async connect() {
    const { registry, clock } = this.#parts;
    if (!this.#parts.isClosed) return;
    this.#parts.isClosed = false;
    this.#steppedAt = clock.now();
    this.#timer = clock.every(() => this.#step(), STEP);
    // All connections of a process bear one certificate: a session goes on with that alone.
    const made = this.#configuration.rtc.generateCertificate?.({ name: "ECDSA", namedCurve: "P-256" });
    this.#certificates ??= Promise.resolve(made).then((one) => one && [one], () => undefined);
    for (const [target, event] of networkEvents()) target.addEventListener(event, this.#networkChanged);
    try {
      await registry.connect();
    } catch (error) {
      this.close();
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
    if (!isObject(message) || typeof message.type !== "string") throw new MeshError("bad_message", "A message is an object with a type, which is text.");
    if (this.#parts.isClosed) throw new MeshError("shutting_down", "This peer is not connected.", { peer: target });
    const peer = isName(target) && target !== this.#id && this.#peer(target);
    if (!peer) throw new MeshError(peer === null ? "too_many_peers" : "unknown_peer", `${target} can't be sent anything`, { peer: target });
    const agent = (name) => name.replace(/-sidecar$/, "");
    const added = { request_id: "", source_agent: agent(this.#id), target_agent: agent(target), payload: null };
    return peer.send({ ...added, ...message });
  }

  /** Sends a message and waits for the response with the same `request_id`. `onChunk` takes what is streamed before. */
  async request(target, message, { timeout = 60000, onChunk = () => {} } = {}) {
    const request_id = message.request_id || randomId();
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
    const targets = this.#connected;
    const results = await Promise.allSettled(targets.map((target) => this.send(target, message)));
    const failed = results.flatMap(({ reason }, index) => (reason ? [{ peer_id: targets[index], code: reason.code }] : []));
    return { delivered: targets.filter((_, index) => !results[index].reason), failed };
  }

  /** The way to a connected peer, as the browser tells it; null without a connection. */
  async path(target) {
    const { current } = this.#parts.peers.get(target) ?? {};
    const stats = await current?.pc.getStats();
    const all = stats ? [...stats.values()] : [];
    const used = all.find(({ type }) => type === "transport")?.selectedCandidatePairId;
    const pair = stats?.get(used) ?? all.find(({ type, nominated, state }) => type === "candidate-pair" && nominated && state === "succeeded");
    if (!pair) return null;
    const [near, far] = [stats.get(pair.localCandidateId), stats.get(pair.remoteCandidateId)];
    const told = current.toldCandidates.get(far?.port);
    const [local, remote] = [near?.candidateType ?? null, told?.kind ?? far?.candidateType ?? null];
    const address = told?.address ?? (/^[\da-f.:]+$/i.test(far?.address) ? far.address : null);
    const roundTrip = pair.currentRoundTripTime === undefined ? null : pair.currentRoundTripTime * 1000;
    return { kind: pathKind(local, remote, address), local, remote, address, roundTrip };
  }

  /** Who is connected to whom, as sidecars report it to the registry. */
  async topology() {
    const { peer_edges, mesh_edges } = await this.#parts.registry.ask("api/hub/network/topology", "GET");
    return peer_edges ?? mesh_edges ?? [];
  }

  /** Call this when the network has changed and the browser does not say so: peers and registry are asked at once. */
  networkChanged() {
    const { peers, registry, clock } = this.#parts;
    if (registry.retryAt !== null) registry.retryAt = clock.now();
    registry.askForList();
    for (const peer of peers.values()) if (peer.current) peer.ask(peer.current);
  }

  #peer(id) {
    const { peers } = this.#parts;
    if (!peers.has(id) && peers.size < PEERS) peers.set(id, new Peer(id, this.#parts));
    return peers.get(id) ?? null;
  }

  async #named(id, iceServers) {
    if (this.expectedId !== null && id !== this.expectedId) throw new MeshError("refused", `the key is that of ${id}, not of ${this.expectedId}`);
    const made = await this.#certificates;
    this.#id = id;
    Object.assign(this.#configuration, { iceServers }, made && { certificates: made });
  }

  #listed(names, isNew) {
    const { roster, listed, peers, isFull } = this.#parts;
    roster.clear();
    for (const name of names.filter((name) => isName(name) && name !== this.#id).slice(0, PEERS)) roster.add(name);
    if (listed.size > 8 * PEERS) listed.clear();
    if (isNew) this.#report("registry", { state: "connected", peer_id: this.#id });
    for (const name of roster) {
      listed.add(name);
      if (isFull) this.#peer(name);
    }
    for (const [id, peer] of peers) {
      if (isNew) peer.beginAnew();
      peer.listed(roster.has(id));
      if (peer.isForgettable && !roster.has(id)) peers.delete(id);
    }
    this.#report("peers", {});
  }

  #signaled({ type, peer_id: sender, payload }) {
    if (!isName(sender) || sender === this.#id || !isObject(payload) || this.#parts.isClosed) return;
    const { roster, listed } = this.#parts;
    const peer = this.#peer(sender);
    if (!peer) return;
    if (roster.size < PEERS) listed.add(sender) && roster.add(sender);
    peer.signaled(type, payload);
  }

  #deliver(peer, message) {
    const key = JSON.stringify([peer, message.request_id]);
    const request = this.#requests.get(key);
    if (request && message.type.endsWith("_stream_chunk")) request.onChunk(message);
    else if (request && this.#requests.delete(key)) request.resolve(message);
    this.#report("message", { peer, message, isResponse: request !== undefined });
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

/** The kind of a path, as sidecars report it: `host` if no router translates between the two, `direct` or `relay`. */
function pathKind(local, remote, address) {
  if (local === "relay" || remote === "relay") return "relay";
  // Of a side that was found by its checks, the kind of its address is not known. Nobody reaches a private one from afar.
  const isPrivate = /^(10|127|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\.|^(f[cd]..|fe80):/i.test(address ?? "");
  return [local, remote].every((kind) => kind === "host" || (kind === "prflx" && isPrivate)) ? "host" : "direct";
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
