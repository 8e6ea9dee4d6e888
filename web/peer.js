// A peer as it is kept: the session with it, the connections to it, and when to try again. It is used by chatixia.js.
//
// Healing is: on suspicion build a new connection beside the old one, resume the session, drop the loser.

import { MeshError, Session, fingerprint, isCount, isId, isName, isObject, isProof, isSmaller, parse, pause, proof, randomId, sizeOf } from "./session.js";

// Times are in milliseconds.
const OWN_WINDOW = 1024 * 1024; // Bytes that a peer may have under way to us.
const QUEUE_BYTES = 8 * 1024 * 1024; // What may wait for a peer; more is refused.
// What is given to the browser at a time, so that the rest can still be refused.
const CHANNEL_BYTES = 256 * 1024;
const UNANNOUNCED_MESSAGE_BYTES = 65535; // Taken by a peer that announces no size.
const CONTROL_FRAME_BYTES = 16 * 1024;
const EARLY_CANDIDATES = 64; // Kept for a peer until their description is there.
const KNOWN_OFFERS = 16; // Remembered, because an offer may come by several ways.
// Signals that a peer may bring or have passed on; one more each step.
const FRAMES_AT_ONCE = 64;
const INTRODUCERS = 3;
const ASK = { waiting: 500, idle: 2500 }; // Silence after which a peer is asked for a sign of life.
// Silence after the question that begins the search for another connection.
export const SUSPECT = 1500;
const SILENT = 5000; // Silence after which a peer counts as unreachable.
const PATIENCE = { reachable: 3000, unreachable: 500 }; // The side that offered before offers first.
const HELD_OFFER = 1000; // An offer of ours that is not answered within that gives way.
// The time that a peer has for its proof since our hello.
const PROOF_TIMEOUT = 4000;
const ATTEMPT = { offered: 7000, connecting: 10000 };
const CONNECT_TIMEOUT = 20000;
const RECOVERY_TIMEOUT = 60000;
const RETRY = [500, 30000]; // The first pause between two tries, and the longest.

/** One attempt at a path to a peer. It may fail, be doubled by another, or be replaced while it works. */
class Connection {
  mesh = null; // The channels.
  control = null;
  speaksSessions = false;
  announced = null; // The peer's session in its description, or in its hello.
  greeting = null; // The peer's hello.
  told = null; // Our session in our hello, once that is out.
  toldAt = null;
  proof = null; // { session, text }: what that hello will prove, computed ahead.
  backlog = null; // Control frames that wait until the proof of the peer's is checked.
  early = []; // Messages that came before the hello, which gives them their numbers.
  earlyBytes = 0;
  waiting = { theirs: [], ours: [] }; // Candidates that wait for their description.
  toldCandidates = new Map(); // Address and kind of each candidate of the peer, by its port.
  nextNumber = null; // Of the peer's messages. Our hello tells where it begins.
  asked = null;
  isToRest = false;
  hasEnded = false;
  maxMessageBytes = UNANNOUNCED_MESSAGE_BYTES;

  constructor(peer, role, attempt, introducers, { rtc, ...configuration }) {
    const phase = role === "offerer" ? "offered" : "connecting"; // And "open" in the end.
    Object.assign(this, { peer, role, attempt, introducers, phase, created: peer.now, heard: peer.now });
    this.pc = new rtc(configuration);
    this.pc.onicecandidate = ({ candidate }) => candidate?.candidate && this.#trickle(candidate);
    this.pc.onconnectionstatechange = () => {
      const { connectionState } = this.pc;
      if (connectionState === "failed" || connectionState === "closed") peer.failed(this, `the connection is ${connectionState}`);
      else if (connectionState === "disconnected") peer.ask(this);
    };
    if (role === "offerer") this.#bind(this.pc.createDataChannel("mesh"));
    else this.pc.ondatachannel = ({ channel }) => this.#bind(channel);
  }

  /** Sends the peer our description. */
  async describe(type) {
    await this.pc.setLocalDescription(await (type === "offer" ? this.pc.createOffer() : this.pc.createAnswer()));
    if (this.hasEnded) return;
    this.peer.signal(this, type, { sdp: this.pc.localDescription.sdp });
    const { ours } = this.waiting;
    this.waiting.ours = null;
    for (const candidate of ours) this.#trickle(candidate);
  }

  /** Takes the peer's description. */
  async accept(type, { sdp, v, session }) {
    this.speaksSessions = v >= 1 && this.attempt !== null;
    this.announced = isId(session) ? session : null;
    this.fingerprint = fingerprint(sdp);
    const announced = /^a=max-message-size:(\d+)/m.exec(sdp);
    if (announced) this.maxMessageBytes = Number(announced[1]) || Infinity;
    for (const [, candidate] of sdp.matchAll(/^a=(candidate:.*)$/gm)) this.#note(candidate);
    await this.pc.setRemoteDescription({ type, sdp });
    const { theirs } = this.waiting;
    this.waiting.theirs = null;
    for (const candidate of theirs) this.addCandidate(candidate);
    if (type === "answer" && this.speaksSessions && !this.hasEnded) this.#bind(this.pc.createDataChannel("mesh-control"));
  }

  addCandidate(payload) {
    const { candidate, sdpMid, sdpMLineIndex } = payload;
    this.#note(candidate);
    if (this.waiting.theirs) this.waiting.theirs.length < EARLY_CANDIDATES && this.waiting.theirs.push(payload);
    else if (candidate) {
      const added = this.pc.addIceCandidate({ candidate, sdpMid: sdpMid || "0", sdpMLineIndex: sdpMLineIndex ?? 0 });
      added?.catch(() => {}); // What a stack can't use harms nothing.
    }
  }

  /** Notes what a candidate of the peer is: browsers forget that of one that they have found before. */
  #note(line) {
    const [, address, port, kind] = /^candidate:(?:\S+ ){4}(\S+) (\d+) typ (\w+)/.exec(line) ?? [];
    if (port && this.toldCandidates.size < EARLY_CANDIDATES) this.toldCandidates.set(Number(port), { address, kind });
  }

  #trickle(candidate) {
    const { candidate: line, sdpMid, sdpMLineIndex } = candidate;
    if (this.waiting.ours) this.waiting.ours.push(candidate);
    else this.peer.signal(this, "ice_candidate", { candidate: line, sdpMid: sdpMid ?? "0", sdpMLineIndex: sdpMLineIndex ?? 0 });
  }

  #bind(channel) {
    const name = { mesh: "mesh", "mesh-control": "control" }[channel.label];
    if (!name || this[name] || (name === "control" && !this.speaksSessions)) return;
    this[name] = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = CHANNEL_BYTES / 2;
    channel.onopen = () => this.peer.advance(this);
    channel.onclose = () => this.peer.failed(this, this.#whyEnded);
    channel.onbufferedamountlow = () => this.peer.pump();
    channel.onmessage = ({ data }) => {
      if (this.hasEnded) return;
      this.peer.heard(this);
      if (name === "mesh") this.peer.received(this, data);
      else this.peer.controlled(this, data);
    };
    if (channel.readyState === "open") this.peer.advance(this);
  }

  get #whyEnded() {
    const isAfterHello = this.phase !== "open" && this.told !== null;
    return `the peer has ended it${isAfterHello ? " after our hello; it may have another secret" : ""}`;
  }

  /** Writes a control frame; false when the channel takes none. */
  tell(frame) {
    try {
      this.control.send(JSON.stringify(frame));
      return true;
    } catch {
      return false;
    }
  }

  close() {
    this.hasEnded = true;
    this.pc.onconnectionstatechange = this.pc.onicecandidate = null;
    this.pc.close();
  }
}

/** What is kept for a peer: its session, its connections, and when to try again. */
export class Peer {
  session = new Session();
  connections = new Set();
  current = null; // The connection that carries the session.
  lastRole = "answerer";
  isReachable = false;
  hasMet = false;
  isResting = false; // It has said so, and stays disconnected until there is something to say.
  speaksSessions = false;
  fingerprint = null;
  failure = null; // Why the last attempt has failed.
  wantedUntil = -Infinity;
  heardAt = -Infinity;
  since = null;
  roundTrip = null;
  restarts = 0;
  sent = { messages: 0, bytes: 0 };
  taken = { messages: 0, bytes: 0 };
  failures = 0; // Attempts that have failed since a connection was taken.
  retryAt = null;
  held = null; // An offer against which our own stands.
  knownOffers = [];
  earlyCandidates = [];
  framesLeft = FRAMES_AT_ONCE;
  owesAcknowledgement = false;

  constructor(id, parts) {
    Object.assign(this, { id, parts }); // What the mesh gives to all of them.
  }

  get now() {
    return this.parts.clock.now();
  }

  #report(type, detail) {
    this.parts.report(type, { peer: this.id, ...detail });
  }

  // -- Offers and answers

  isWell(connection) {
    return connection !== null && (connection.asked === null || this.now - connection.asked < SUSPECT);
  }

  all(condition) {
    return [...this.connections].filter(condition);
  }

  wantsOffer() {
    const isListed = this.parts.roster.has(this.id) && this.parts.isFull && !this.isResting;
    const isWanted = isListed || this.session.outbox.length > 0 || this.wantedUntil > this.now;
    return isWanted && !this.isWell(this.current) && this.all(({ phase }) => phase !== "open").length === 0;
  }

  /** Offers a connection if one is wanted and the peer can be told; asks the registry if that is not sure. */
  considerOffer() {
    this.retryAt = null;
    if (!this.wantsOffer()) return;
    const { registry, roster } = this.parts;
    if (registry.isConnected ? this.failures < 2 && roster.has(this.id) : this.introducers().length > 0) this.offer();
    else if (registry.isConnected) registry.askForList();
    else this.plan(pause(RETRY, this.failures));
  }

  offer() {
    const connection = new Connection(this, "offerer", randomId(), this.introducers(), this.parts.configuration());
    this.connections.add(connection);
    connection.describe("offer").catch((error) => this.failed(connection, error.message));
  }

  plan(wait) {
    this.retryAt ??= this.now + wait;
    if (wait === 0) this.parts.clock.soon(() => this.retryAt <= this.now && this.retryAt !== null && this.considerOffer());
  }

  /** Plans another connection beside the one in use if that is in doubt. The side that offered it goes first. */
  planReplacement() {
    if (this.isWell(this.current) || this.parts.isClosed) return;
    const patience = this.lastRole === "offerer" ? 0 : PATIENCE[this.isReachable ? "reachable" : "unreachable"];
    this.plan(patience + (this.failures > 0 ? pause(RETRY, this.failures - 1) : 0));
  }

  /** Sends a signal of a connection through the registry, and through the peers that introduce us. */
  signal(connection, type, payload) {
    const extension = { v: 1, session: this.session.announcedTo(connection.announced), conn: connection.attempt ?? undefined };
    const frame = { type, peer_id: this.parts.own(), target_id: this.id, payload: { ...payload, ...extension } };
    this.parts.registry.send(frame);
    for (const introducer of connection.introducers) this.parts.peers.get(introducer)?.pass(frame);
  }

  /** Takes a signal, which the registry has brought or the peer `introducer`. */
  signaled(type, payload, introducer = null) {
    const conn = isId(payload.conn) ? payload.conn : null;
    const ofAttempt = this.all(({ attempt }) => attempt === conn).at(-1);
    if (type === "offer" && typeof payload.sdp === "string") {
      if (conn && !ofAttempt && this.knownOffers.includes(conn)) return; // It has come by another way before.
      if (!conn || !ofAttempt) this.#offered(payload, conn, introducer);
    } else if (type === "answer" && typeof payload.sdp === "string") {
      const offered = this.all(({ phase, attempt }) => phase === "offered" && (!conn || attempt === conn)).at(-1);
      if (!offered) return;
      this.#meetSession(payload.session);
      Object.assign(offered, { phase: "connecting", created: this.now });
      this.held = null;
      offered.accept("answer", payload).catch((error) => this.failed(offered, `its answer can't be used: ${error.message}`));
    } else if (type === "ice_candidate" && typeof payload.candidate === "string") {
      const found = conn ? ofAttempt : this.all(({ speaksSessions }) => !speaksSessions).at(-1);
      if (payload.refused && found?.phase === "offered") this.failed(found, `it refuses the offer: ${payload.refused}`);
      else if (found) found.addCandidate(payload);
      else if (this.earlyCandidates.length < EARLY_CANDIDATES) this.earlyCandidates.push(payload);
    }
  }

  #offered(payload, conn, introducer) {
    this.isResting = false;
    const ours = this.all(({ phase }) => phase === "offered");
    if (ours.length > 0 && !(payload.v >= 1 && isSmaller(this.id, this.parts.own()))) {
      this.held = { payload, conn, introducer, until: this.now + HELD_OFFER };
    } else {
      this.#accept(payload, conn, introducer);
    }
  }

  #accept(payload, conn, introducer) {
    if (conn) this.knownOffers = [...this.knownOffers.slice(1 - KNOWN_OFFERS), conn];
    // The peer has given up its earlier offer, and ours gives way.
    for (const given of this.all(({ phase, role }) => phase === "offered" || (phase === "connecting" && role === "answerer"))) this.retire(given);
    this.#meetSession(payload.session);
    const connection = new Connection(this, "answerer", conn, introducer ? [introducer] : [], this.parts.configuration());
    this.connections.add(connection);
    for (const early of this.earlyCandidates.splice(0)) if ((early.conn ?? null) === conn) connection.addCandidate(early);
    const accepted = connection.accept("offer", payload).then(() => connection.hasEnded || connection.describe("answer"));
    accepted.catch((error) => this.failed(connection, `its offer can't be used: ${error.message}`));
  }

  /** Drops the connection to a process that another has replaced. Where a secret is to be proved, its hello does so. */
  #meetSession(session) {
    if (this.current && !this.parts.secret && this.session.isReplacedBy(isId(session) ? session : null)) this.retire(this.current);
  }

  // -- The greeting: which connection carries the session

  /** Goes as far as is possible after a channel has opened, a proof was made, or the peer has said hello. */
  advance(connection) {
    const isOpen = (channel) => channel?.readyState === "open";
    if (connection.hasEnded || connection.phase !== "connecting" || !isOpen(connection.mesh)) return;
    if (!connection.speaksSessions) return this.#adoptWithoutSession(connection);
    const isOfferer = connection.role === "offerer";
    if (!isOpen(connection.control) || (!isOfferer && !connection.greeting)) return;
    if (connection.told === null) {
      if (!isOfferer && this.#givesWay()) return this.retire(connection);
      if (!this.#sayHello(connection)) return;
    }
    if (connection.greeting) this.#adopt(connection);
  }

  /** Whether a connection that the peer proposes gives way to one that we have proposed. Otherwise ours gives way. */
  #givesWay() {
    const [proposed] = this.all(({ role, told, phase }) => role === "offerer" && told !== null && phase !== "open");
    // Whoever has answered ours and then proves nothing must not keep out who does.
    const isUnproven = this.parts.secret && proposed && this.now - proposed.toldAt > PROOF_TIMEOUT;
    const yields = isUnproven || isSmaller(this.id, this.parts.own());
    if (proposed && yields) this.retire(proposed);
    return proposed !== undefined && !yields;
  }

  greetsElsewhere(connection) {
    return this.all((other) => other !== connection && other.told !== null && other.phase !== "open").length > 0;
  }

  /** Sends our hello. If its proof is not made yet, `advance` goes on when it is, and this returns false. */
  #sayHello(connection) {
    const theirs = connection.greeting?.session ?? connection.announced;
    const isOther = this.#isOther(connection);
    const session = this.session.tell(theirs, isOther);
    const { secret, own } = this.parts;
    if (secret && connection.proof?.session !== session) {
      const use = (text) => {
        connection.proof = { session, text };
        this.advance(connection);
      };
      const prove = async () => use(await proof(secret, this.#claim(connection, connection.role, session)));
      prove().catch((error) => this.#refuse(connection, error.message));
      return false;
    }
    const received = this.session.receivedOf(theirs, isOther);
    Object.assign(connection, { told: session, toldAt: this.now, nextNumber: received + 1 });
    const isTold = connection.tell({ hello: { session, received, peer_id: own(), proof: connection.proof?.text } });
    if (!isTold) this.failed(connection, "the hello can't be written");
    return isTold;
  }

  /** Whether this connection's certificate is not the one with which the session began. */
  #isOther({ fingerprint }) {
    return fingerprint === null || fingerprint !== this.fingerprint;
  }

  /** What the proof of the side with this role is about. */
  #claim(connection, role, session) {
    const certificates = [fingerprint(connection.pc.localDescription.sdp), connection.fingerprint];
    const [own, theirs] = role === connection.role ? certificates : certificates.reverse();
    if (!own || !theirs) throw new Error("a certificate has no SHA-256 fingerprint");
    if (own === theirs) throw new Error("it shows our own certificate; somebody sends back what we send");
    return { conn: connection.attempt, role, own, theirs, session };
  }

  /** Takes the peer's hello, once its proof is checked. */
  async #greeted(connection, hello) {
    if (connection.greeting || !isObject(hello) || !isId(hello.session) || !isCount(hello.received)) return;
    const { secret } = this.parts;
    if (secret) {
      connection.backlog = [];
      const role = connection.role === "offerer" ? "answerer" : "offerer";
      const isRight = await isProof(hello.proof, secret, this.#claim(connection, role, hello.session));
      if (connection.hasEnded) return;
      if (!isRight) throw new Error(hello.proof ? "its proof of the secret is wrong" : "it has no secret");
      if (hello.peer_id !== this.id) throw new Error(isName(hello.peer_id) ? `it calls itself ${hello.peer_id}; somebody may change names` : "it does not tell its name");
    }
    connection.greeting = hello;
    this.advance(connection);
    for (const frame of connection.backlog?.splice(0) ?? []) this.controlled(connection, frame, true);
    connection.backlog = null;
  }

  /** Ends a connection to a peer that has not shown what it should. */
  #refuse(connection, why) {
    if (connection.hasEnded) return;
    this.#report("untrusted", { reason: why });
    // Whoever stands in the peer's place must not cost what waits for it.
    if (!this.hasMet && this.connections.size < 2) this.#fail(this.session.takeUnwritten(), "untrusted_peer", `${this.id} is not trusted: ${why}`);
    this.failed(connection, why);
  }

  /** Lets the session go on over this connection. Our hello and the peer's are out. */
  #adopt(connection) {
    const { session, received } = connection.greeting;
    const greeting = this.session.greet(session, received, connection.told, this.#isOther(connection));
    if (!greeting) return this.#contradicted(connection);
    if (!greeting.resumed) connection.nextNumber = 1; // Our hello may have spoken of a session that it no longer has.
    for (const outgoing of greeting.settled) outgoing.settle(null);
    this.#fail(greeting.lost, "connection_lost", `${this.id} was started anew before its agent took the message`);
    this.#takeOver(connection, greeting.resumed && this.hasMet);
    this.acknowledge();
  }

  #adoptWithoutSession(connection) {
    if (this.parts.secret) return this.#refuse(connection, "it is of another make, which knows no secret");
    if (this.speaksSessions) this.#restart("it is of another make now");
    this.#takeOver(connection, false);
  }

  /** Ends the session with a peer that has said what can't be true: its process counts as ended. */
  #contradicted(connection) {
    if (this.current && this.current !== connection) this.retire(this.current);
    this.#restart("it contradicts the session");
    this.failed(connection, "it contradicts the session");
  }

  #restart(why) {
    this.#fail(this.session.restart(), "connection_lost", `the session with ${this.id} ended before its agent took the message: ${why}`);
  }

  /** Makes this connection the one that carries the messages, and retires the others. */
  #takeOver(connection, resumed) {
    const { now, isReachable: wasReachable, hasMet } = this;
    this.restarts = resumed ? this.restarts + 1 : 0;
    if (!resumed) this.since = Date.now();
    Object.assign(connection, { phase: "open", heard: now, asked: null });
    const { role, speaksSessions, fingerprint } = connection;
    Object.assign(this, { current: connection, lastRole: role, speaksSessions, isReachable: true, hasMet: true, heardAt: now, fingerprint });
    Object.assign(this, { held: null, failure: null, retryAt: null, failures: 0, wantedUntil: -Infinity });
    for (const other of this.all((other) => other !== connection)) this.retire(other);
    if (hasMet && !resumed) this.parts.startedAnew(this.id);
    if (wasReachable && !resumed) this.#report("peerdisconnected");
    if (!wasReachable || !resumed) this.#report("peerconnected", { resumed });
    for (const data of connection.early.splice(0)) this.received(connection, data);
    this.ask(connection);
    this.pump();
  }

  // -- Messages

  /** Accepts a message, and tells by a promise what became of it. */
  send(message) {
    const text = JSON.stringify(message);
    const outgoing = { text, bytes: sizeOf(text), requestId: message.request_id, at: this.now };
    return new Promise((resolve, reject) => {
      outgoing.settle = (error, receipt = "agent") => (error ? reject(error) : resolve({ target_peer: this.id, receipt }));
      if (this.session.queuedBytes + outgoing.bytes > QUEUE_BYTES) {
        return this.#fail([outgoing], "peer_stalled", `${QUEUE_BYTES} bytes wait for ${this.id}, which takes nothing; try again later`);
      }
      this.isResting = false;
      this.session.push(outgoing);
      this.pump();
      if (!this.current && this.retryAt === null) this.considerOffer();
    });
  }

  #fail(messages, code, text, details) {
    for (const { settle, requestId } of messages) settle(new MeshError(code, text, { peer: this.id, requestId, ...details }));
  }

  /** Writes what the peer's window and the browser have room for. */
  pump() {
    const { current: connection, session } = this;
    while (connection && connection === this.current && connection.mesh.bufferedAmount <= CHANNEL_BYTES) {
      const next = session.next(connection.speaksSessions);
      if (!next) return;
      const isFirst = session.nextIsUnnumbered;
      const limit = connection.maxMessageBytes;
      if (isFirst && next.bytes > limit) {
        const text = `${this.id} takes ${limit} bytes at most; the message has ${next.bytes}`;
        this.#fail(session.takeUnwritten(session.handed, 1), "message_too_large", text, { limit });
        continue;
      }
      try {
        connection.mesh.send(next.text);
      } catch (error) {
        return this.failed(connection, `a message can't be written: ${error.message}`);
      }
      if (isFirst) count(this.sent, next.bytes);
      if (connection.speaksSessions) for (const settled of session.written()) settled.settle(null);
      // Browsers do not tell what the peer's transport has acknowledged.
      else session.takeUnwritten(session.handed, 1)[0].settle(null, "sent");
    }
  }

  /** Takes what came in on the channel `mesh`. */
  received(connection, data) {
    const bytes = sizeOf(data);
    if (connection.phase !== "open") {
      connection.early.push(data);
      connection.earlyBytes += bytes + 64;
      if (connection.earlyBytes > 2 * OWN_WINDOW) this.failed(connection, "it sends beyond its window before its hello");
      return;
    }
    // From our hello on another connection we take nothing from this one, because that told what we have.
    if (this.greetsElsewhere(connection)) return;
    if (connection.speaksSessions) {
      if (!this.session.accept(connection.nextNumber++)) return;
      if (!this.owesAcknowledgement) this.parts.clock.soon(() => this.acknowledge());
      this.owesAcknowledgement = true;
    }
    count(this.taken, bytes);
    const message = parse(data);
    if (isObject(message) && typeof message.type === "string") this.parts.deliver(this.id, message);
    else this.#report("unusable", { bytes });
  }

  /** Tells the peer how many of its messages our handlers have had. */
  acknowledge() {
    this.owesAcknowledgement = false;
    if (!this.current?.speaksSessions || this.greetsElsewhere(this.current)) return;
    this.current.tell({ ack: this.session.taken, window: OWN_WINDOW });
  }

  /** Takes what came in on `mesh-control`. */
  controlled(connection, data, hasWaited = false) {
    if (connection.backlog && !hasWaited) {
      if (connection.backlog.length < FRAMES_AT_ONCE) connection.backlog.push(data);
      return;
    }
    const frame = sizeOf(data) <= CONTROL_FRAME_BYTES && parse(data);
    if (!isObject(frame)) return;
    if ("hello" in frame) this.#greeted(connection, frame.hello).catch((error) => this.#refuse(connection, error.message));
    else if (!connection.greeting) return;
    else if (isCount(frame.ack) && isCount(frame.window)) this.#acknowledged(connection, frame.ack, frame.window);
    else if ("ping" in frame) connection.tell({ pong: frame.ping });
    else if (isCount(frame.pong)) this.roundTrip = Math.max(0, this.now - frame.pong / 1000);
    else if (isObject(frame.frame)) this.#passed(connection, frame.frame);
    else if ("rest" in frame) connection.isToRest = true;
  }

  #acknowledged(connection, taken, window) {
    if (connection !== this.current || this.greetsElsewhere(connection)) return;
    const settled = this.session.acknowledge(taken, window);
    if (!settled) return this.#contradicted(connection);
    for (const outgoing of settled) outgoing.settle(null);
    this.pump();
  }

  // -- Introductions while the registry is away

  /** The peers that pass our signals on to this one: that one itself while it is well, or some of the others. */
  introducers() {
    const { peers, registry } = this.parts;
    if (registry.isConnected || !this.hasMet || !this.speaksSessions) return [];
    if (this.isWell(this.current)) return [this.id];
    const passes = (peer) => peer.speaksSessions && peer.isWell(peer.current);
    return [...peers.values()].filter(passes).slice(0, INTRODUCERS).map(({ id }) => id);
  }

  pass(frame) {
    if (this.current?.speaksSessions) this.current.tell({ frame });
  }

  #passed(connection, frame) {
    const { peer_id: sender, target_id: target, type, payload } = frame;
    if (connection !== this.current || !isObject(payload) || this.framesLeft <= 0) return;
    this.framesLeft -= 1;
    const { peers, listed, own } = this.parts;
    if (target !== own()) {
      if (sender === this.id && listed.has(sender) && listed.has(target)) peers.get(target)?.pass(frame);
    } else if (sender === this.id || peers.get(sender)?.mayBeIntroduced(this.id, type, payload)) {
      peers.get(sender).signaled(type, payload, this.id);
    }
  }

  /** Whether a signal counts that another peer has brought. It says less than the registry's word. */
  mayBeIntroduced(introducer, type, { conn, session, sdp }) {
    const isAsked = this.all(({ attempt, introducers }) => attempt === conn && introducers.includes(introducer)).length > 0;
    if (!this.hasMet || !this.speaksSessions || !isId(conn)) return false;
    if (type === "ice_candidate") return isAsked || this.current?.attempt === conn;
    const isTheirs = typeof sdp === "string" && this.fingerprint !== null && fingerprint(sdp) === this.fingerprint;
    const isSilent = !this.current || this.now - this.current.heard > ASK.waiting;
    return isTheirs && isSilent && (type === "answer" ? isAsked : session === this.session.theirs);
  }

  // -- Signs of life

  /** Asks for a sign of life. Only peers that speak sessions answer. */
  ask(connection) {
    if (connection.phase !== "open" || !connection.speaksSessions) return;
    connection.asked ??= this.now;
    connection.tell({ ping: Math.round(this.now * 1000) });
  }

  /** Something came in on a connection that only the peer can have sent. */
  heard(connection) {
    connection.heard = this.now;
    connection.asked = null;
    if (connection !== this.current) return;
    this.heardAt = this.now;
    if (this.isReachable) return;
    Object.assign(this, { isReachable: true, retryAt: null, failures: 0, wantedUntil: -Infinity });
    this.#report("peerconnected", { resumed: true });
    this.pump();
  }

  #unreachable() {
    if (!this.isReachable) return;
    this.isReachable = false;
    this.wantedUntil = this.now + RECOVERY_TIMEOUT;
    this.#report("peerdisconnected");
  }

  /** Does what is due. */
  step() {
    const { now, current } = this;
    this.framesLeft = Math.min(FRAMES_AT_ONCE, this.framesLeft + 1);
    const limit = ({ phase }) => ATTEMPT[phase] * 2 ** Math.min(this.failures, 3);
    for (const late of this.all((found) => now - found.created > limit(found))) this.failed(late, `not ${late.phase === "offered" ? "answered" : "connected"} in time`);
    if (current?.speaksSessions && current === this.current) {
      const silence = now - current.heard;
      if (silence > (this.session.handed > 0 ? ASK.waiting : ASK.idle)) this.ask(current);
      if (!this.isWell(current)) this.planReplacement();
      if (silence > SILENT) this.#unreachable();
    }
    if (this.held && now >= this.held.until) {
      const { payload, conn, introducer } = this.held;
      this.held = null;
      this.#accept(payload, conn, introducer);
    }
    if (this.retryAt !== null && now >= this.retryAt) this.considerOffer();
    if (!this.isReachable) this.#giveUp(now);
  }

  /** Settles what waits for a peer that is out of reach for too long. */
  #giveUp(now) {
    if (this.hasMet && now - this.heardAt > RECOVERY_TIMEOUT) {
      this.#restart("it can't be reached");
      this.hasMet = false;
    }
    const patience = this.hasMet ? RECOVERY_TIMEOUT : CONNECT_TIMEOUT;
    if (!this.session.outbox.slice(this.session.numbered).some(({ at }) => now - at > patience)) return;
    this.#fail(this.session.takeUnwritten(), "connect_failed", `${this.id} can't be reached`);
  }

  /** The registry has told who is online. */
  listed(isListed) {
    if (isListed && this.retryAt === null && this.wantsOffer()) return this.offer();
    if (isListed || this.connections.size > 0) return;
    if (this.hasMet) return this.planReplacement();
    this.#fail(this.session.takeUnwritten(), "unknown_peer", `${this.id} is not online, or may not be seen: the registry does not list it`);
  }

  /** The registry is there again. Offers may have been lost while it was away, and what has failed is tried at once. */
  beginAnew() {
    for (const offered of this.all(({ phase }) => phase === "offered")) this.retire(offered);
    if (!this.isWell(this.current)) Object.assign(this, { failures: 0, retryAt: null });
  }

  /** We have slept. */
  woke() {
    for (const connection of this.connections) Object.assign(connection, { asked: null, heard: this.now, created: this.now });
    if (this.current) this.ask(this.current);
  }

  close() {
    for (const connection of this.all(() => true)) this.retire(connection);
    this.#fail(this.session.takeUnwritten(0), "shutting_down", "this peer was closed before the message was taken");
  }

  get isForgettable() {
    return !this.hasMet && this.connections.size === 0 && this.session.outbox.length === 0;
  }

  // -- Ends of connections

  /** Ends a connection on our side. */
  retire(connection) {
    if (!this.connections.delete(connection)) return false;
    connection.close();
    if (this.current === connection) {
      this.current = null;
      this.session.suspend();
    }
    // A connection that we have proposed takes its place as soon as its hello is there.
    if (!this.current && this.all(({ told }) => told !== null).length === 0) this.#unreachable();
    return true;
  }

  /** Cleans up after a connection that has ended by itself, or an attempt that has failed. */
  failed(connection, reason) {
    const wasAttempt = connection.phase !== "open";
    if (!this.retire(connection)) return;
    if (wasAttempt) this.failure = reason;
    this.#report("connectionlost", { reason });
    this.failures += Number(wasAttempt);
    // Once our hello was sent, nothing was taken from the connection in use.
    if (wasAttempt && connection.told !== null && this.current) this.retire(this.current);
    this.isResting ||= connection.isToRest;
    if (!this.isResting && this.wantsOffer()) this.planReplacement();
  }
}

function count(totals, bytes) {
  totals.messages += 1;
  totals.bytes += bytes;
}
