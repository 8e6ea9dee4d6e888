// One attempt at a path to a peer. It may fail, be doubled by another, or be replaced while it works. It is used by peer.js.

import { pass } from "./introductions.js";
import { awaited, fingerprint, isId } from "./wire.js";

const CHANNEL_BYTES = 256 * 1024; // What is given to the browser at a time, so that the rest can still be refused.
const UNANNOUNCED_MESSAGE_BYTES = 65535; // Taken by a peer that announces no size.
const CANDIDATES = 64; // Taken of a peer.
const FRAMES_AT_ONCE = 64; // Kept while a proof is checked.
// How long each phase may last, in milliseconds. A peer has that of the greeting for its proof (contract part 5).
const LIMITS = { offered: 7000, connecting: 10000, greeting: 4000, open: Infinity };

export class Connection {
  mesh = null; // The channels.
  control = null;
  opened = awaited(); // Both channels are open.
  speaksSessions = false;
  announced = null; // The peer's session in its description, or in its hello.
  told = null; // Our session in our hello.
  fingerprint = null; // Of the peer's certificate.
  #announcedBytes = UNANNOUNCED_MESSAGE_BYTES; // Of a message.
  nextNumber = null; // Of the peer's messages. Our hello tells where it begins.
  early = []; // Messages that came before the hello, which gives them their numbers.
  earlyBytes = 0;
  isToRest = false;
  hasEnded = false;
  #isDescribed = awaited(); // Candidates of ours wait for that,
  #isAccepted = awaited(); // and those of the peer for this.
  #candidatesLeft = CANDIDATES;
  #framesDone = Promise.resolve();
  #framesWaiting = 0;

  constructor(peer, role, attempt, introducers, { rtc, ...configuration }) {
    Object.assign(this, { peer, role, attempt, introducers });
    this.enter(role === "offerer" ? "offered" : "connecting");
    this.pc = new rtc(configuration);
    this.pc.onicecandidate = ({ candidate }) => candidate?.candidate && this.#trickle(candidate);
    this.pc.onconnectionstatechange = () => {
      const { connectionState } = this.pc;
      if (connectionState === "failed" || connectionState === "closed") peer.failed(this, `the connection is ${connectionState}`);
      else if (connectionState === "disconnected") this.ask();
    };
    if (role === "offerer") this.#bind(this.pc.createDataChannel("mesh"));
    else this.pc.ondatachannel = ({ channel }) => this.#bind(channel);
  }

  /** Begins a phase: `offered`, `connecting`, `greeting` from our hello on, `open` when this carries the session. */
  enter(phase) {
    const { now, offers } = this.peer;
    // On a slow path all takes longer; but nobody has longer to prove something.
    const limit = LIMITS[phase] * (phase === "greeting" ? 1 : 2 ** Math.min(offers.failures, 3));
    Object.assign(this, { phase, entered: now, heard: now, asked: null, deadline: now + limit });
  }

  // -- Descriptions and candidates

  /** Sends the peer our description. */
  async describe(type) {
    await this.pc.setLocalDescription(await (type === "offer" ? this.pc.createOffer() : this.pc.createAnswer()));
    if (this.hasEnded) return;
    this.#signal(type, { sdp: this.pc.localDescription.sdp });
    this.#isDescribed.keep();
  }

  /** Takes the peer's description. */
  async accept(type, { sdp, v, session }) {
    this.speaksSessions = v >= 1 && this.attempt !== null;
    this.announced = isId(session) ? session : null;
    this.fingerprint = fingerprint(sdp);
    const size = /^a=max-message-size:(\d+)/m.exec(sdp);
    if (size) this.#announcedBytes = Number(size[1]) || Infinity;
    await this.pc.setRemoteDescription({ type, sdp });
    this.#isAccepted.keep();
    if (type === "answer" && this.speaksSessions && !this.hasEnded) this.#bind(this.pc.createDataChannel("mesh-control"));
  }

  async addCandidate({ candidate, sdpMid, sdpMLineIndex }) {
    if (this.#candidatesLeft <= 0) return;
    this.#candidatesLeft -= 1;
    await this.#isAccepted;
    try {
      if (candidate) await this.pc.addIceCandidate({ candidate, sdpMid: sdpMid || "0", sdpMLineIndex: sdpMLineIndex ?? 0 });
    } catch {} // What a stack can't use harms nothing.
  }

  async #trickle({ candidate, sdpMid, sdpMLineIndex }) {
    await this.#isDescribed;
    if (!this.hasEnded) this.#signal("ice_candidate", { candidate, sdpMid: sdpMid ?? "0", sdpMLineIndex: sdpMLineIndex ?? 0 });
  }

  /** Sends a signal through the registry, and through the peers that introduce us. */
  #signal(type, payload) {
    const { id, session, parts } = this.peer;
    const extension = { v: 1, session: session.own, conn: this.attempt ?? undefined };
    const frame = { type, peer_id: parts.own(), target_id: id, payload: { ...payload, ...extension } };
    parts.registry.send(frame);
    for (const introducer of this.introducers) pass(parts.peers.get(introducer), frame);
  }

  /** The way that this takes, as the browser tells it; null if it tells none. */
  async path() {
    const stats = await this.pc.getStats();
    const all = [...stats.values()];
    const used = all.find(({ type }) => type === "transport")?.selectedCandidatePairId;
    const isUsed = ({ type, nominated, state }) => type === "candidate-pair" && nominated && state === "succeeded";
    const pair = stats.get(used) ?? all.find(isUsed);
    if (!pair) return null;
    const [near, far] = [stats.get(pair.localCandidateId), stats.get(pair.remoteCandidateId)];
    // Browsers forget the kind of a candidate that they have found before they were told of it.
    const lines = this.pc.remoteDescription.sdp.matchAll(/^a=candidate:(?:\S+ ){4}(?<address>\S+) (?<port>\d+) typ (?<kind>\w+)/gm);
    const told = [...lines].find(({ groups }) => Number(groups.port) === far?.port)?.groups;
    const [local, remote] = [near?.candidateType ?? null, told?.kind ?? far?.candidateType ?? null];
    const address = told?.address ?? (/^[\da-f.:]+$/i.test(far?.address) ? far.address : null);
    const roundTrip = pair.currentRoundTripTime === undefined ? null : pair.currentRoundTripTime * 1000;
    return { kind: pathKind(local, remote, address), local, remote, address, roundTrip };
  }

  // -- Channels

  #bind(channel) {
    const name = { mesh: "mesh", "mesh-control": "control" }[channel.label];
    if (!name || this[name] || (name === "control" && !this.speaksSessions)) return;
    this[name] = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = CHANNEL_BYTES / 2;
    channel.onopen = () => this.#opened();
    channel.onclose = () => this.peer.failed(this, this.#whyEnded);
    channel.onbufferedamountlow = () => this.peer.pump();
    channel.onmessage = ({ data }) => {
      if (this.hasEnded) return;
      this.peer.heard(this);
      if (name === "mesh") this.peer.received(this, data);
      else this.#controlled(data);
    };
    this.#opened();
  }

  #opened() {
    const needed = this.speaksSessions ? [this.mesh, this.control] : [this.mesh];
    if (this.phase !== "connecting" || needed.some((channel) => channel?.readyState !== "open")) return;
    this.opened.keep();
    this.peer.opened(this);
  }

  /** Takes a frame when the one before it is done with: checking a proof takes a while. */
  #controlled(data) {
    if (this.#framesWaiting >= FRAMES_AT_ONCE) return;
    this.#framesWaiting += 1;
    const handled = this.#framesDone.then(() => {
      this.#framesWaiting -= 1;
      return this.hasEnded ? null : this.peer.controlled(this, data);
    });
    this.#framesDone = handled.catch((error) => this.peer.failed(this, `a frame can't be handled: ${error.message}`));
  }

  /** The largest message that both the peer and our browser take. */
  get maxMessageBytes() {
    return Math.min(this.#announcedBytes, this.pc.sctp?.maxMessageSize || Infinity);
  }

  get hasRoom() {
    return this.mesh.bufferedAmount <= CHANNEL_BYTES;
  }

  get #whyEnded() {
    return `the peer has ended it${this.phase === "greeting" ? " after our hello; it may have another secret, or does not know this page's certificate" : ""}`;
  }

  /** Asks for a sign of life. Only peers that speak sessions answer. */
  ask() {
    if (this.phase !== "open" || !this.speaksSessions) return;
    this.asked ??= this.peer.now;
    this.tell({ ping: Math.round(this.peer.now * 1000) });
  }

  /** Writes a control frame, if the channel takes one. */
  tell(frame) {
    try {
      this.control.send(JSON.stringify(frame));
    } catch {} // That it is closed is told by its event.
  }

  close() {
    this.hasEnded = true;
    this.pc.onconnectionstatechange = this.pc.onicecandidate = null;
    this.pc.close();
  }
}

/** The kind of a path, as sidecars report it: `host` if no router translates between the two, `direct` or `relay`. */
function pathKind(local, remote, address) {
  if (local === "relay" || remote === "relay") return "relay";
  // Of a side that was found by its checks, the kind of its address is not known. Nobody reaches a private one from afar.
  const isPrivate = /^(10|127|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\.|^(f[cd]..|fe80):/i.test(address ?? "");
  const isNear = (kind) => kind === "host" || (kind === "prflx" && isPrivate);
  return isNear(local) && isNear(remote) ? "host" : "direct";
}
