// A peer as it is kept: the session with it, the connections to it, and when to try again. It is used by chatixia.js.
//
// Healing is: on suspicion build a new connection beside the old one, resume the session, drop the loser.

import { greeted, propose } from "./greeting.js";
import { passed } from "./introductions.js";
import { Offers } from "./offers.js";
import { Session } from "./session.js";
import { MeshError, isCount, isObject, parse, sizeOf } from "./wire.js";

// Times are in milliseconds.
const OWN_WINDOW = 1024 * 1024; // Bytes that a peer may have under way to us.
const QUEUE_BYTES = 8 * 1024 * 1024; // What may wait for a peer; more is refused.
const CONTROL_FRAME_BYTES = 16 * 1024;
const FRAMES_AT_ONCE = 64; // Signals that a peer may bring or have passed on; one more each step.
const ASK = { waiting: 500, idle: 2500 }; // Silence after which a peer is asked for a sign of life.
export const SUSPECT = 1500; // Silence after the question that begins the search for another connection.
const SILENT = 5000; // Silence after which a peer counts as unreachable.
const LASTING = 5000; // After a connection that ends sooner, the next try waits as after one that has failed.
const CONNECT_TIMEOUT = 20000;
const RECOVERY_TIMEOUT = 60000;

export class Peer {
  session = new Session();
  offers = new Offers(this);
  connections = new Set();
  carrier = null; // The connection that carries the session, or was the last to do so.
  isReachable = false;
  isResting = false; // It has said so, and stays disconnected until there is something to say.
  failure = null; // Why the last attempt has failed.
  since = null;
  restarts = 0;
  roundTrip = null;
  sent = { messages: 0, bytes: 0 };
  taken = { messages: 0, bytes: 0 };
  framesLeft = FRAMES_AT_ONCE;
  #owesAcknowledgement = false;

  constructor(id, parts) {
    Object.assign(this, { id, parts }); // What the mesh gives to all of them.
  }

  get now() {
    return this.parts.clock.now();
  }

  all(condition) {
    return [...this.connections].filter(condition);
  }

  /** The connection that carries the session. */
  get current() {
    return this.carrier?.hasEnded === false ? this.carrier : null;
  }

  /** A connection that we have proposed, and that is to carry the session when the peer takes it. */
  get proposed() {
    return this.all(({ phase }) => phase === "greeting")[0];
  }

  /** What is told of it, as chatixia.d.ts describes it. */
  get info() {
    const { id, carrier, connections, session, parts, isReachable, since, failure, roundTrip, restarts } = this;
    const [met, unmet] = [isReachable ? "connected" : "unreachable", connections.size > 0 ? "connecting" : "waiting"];
    return {
      id,
      state: carrier ? met : unmet,
      isOnline: parts.roster.has(id),
      role: carrier?.role ?? "answerer",
      speaksSessions: carrier?.speaksSessions ?? false,
      fingerprint: carrier?.fingerprint ?? null,
      isProven: parts.secret !== null && isReachable,
      queued: { messages: session.outbox.length, bytes: session.queuedBytes },
      sent: { ...this.sent },
      received: { ...this.taken },
      ...{ since, failure, roundTrip, restarts },
    };
  }

  get isWell() {
    const { current } = this;
    return current !== null && (current.asked === null || this.now - current.asked < SUSPECT);
  }

  /** Whether this connection's certificate is not the one with which the session began. */
  isOther({ fingerprint }) {
    return fingerprint === null || fingerprint !== this.carrier?.fingerprint;
  }

  #report(type, detail) {
    this.parts.report(type, { peer: this.id, ...detail });
  }

  /** The registry has told whether the peer is online. */
  listed(isListed, isNew) {
    if (isListed) return this.offers.listed(isNew);
    if (this.carrier || this.connections.size > 0) return;
    const why = `${this.id} is not online, or may not be seen: the registry does not list it`;
    this.#fail(this.session.takeUnwritten(), "unknown_peer", why);
  }

  // -- Which connection carries the session

  /** All channels of a connection are open. */
  opened(connection) {
    if (!connection.speaksSessions) this.#adoptWithoutSession(connection);
    else if (connection.role === "offerer") propose(this, connection);
  }

  /** Lets the session go on over this connection. Our hello and the peer's are out. */
  adopt(connection, { session, received }) {
    const greeting = this.session.greet(session, received, connection.told, this.isOther(connection));
    if (!greeting) return this.#endSession(connection);
    if (!greeting.resumed) connection.nextNumber = 1; // Our hello may have spoken of a session that it no longer has.
    for (const outgoing of greeting.settled) outgoing.settle(null);
    this.#fail(greeting.lost, "connection_lost", `${this.id} was started anew before its agent took the message`);
    this.#takeOver(connection, greeting.resumed);
    this.#acknowledge();
  }

  #adoptWithoutSession(connection) {
    if (this.parts.secret) return this.refuse(connection, "it is of another make, which knows no secret");
    if (this.carrier?.speaksSessions) this.#restart("it is of another make now");
    this.#takeOver(connection, false);
  }

  /** Makes this connection the one that carries the messages, and retires the others. */
  #takeOver(connection, resumed) {
    const wasMet = this.carrier !== null;
    connection.enter("open");
    Object.assign(this, { carrier: connection, failure: null, restarts: resumed ? this.restarts + 1 : 0 });
    for (const other of this.all((other) => other !== connection)) this.retire(other);
    if (!resumed) {
      this.since = Date.now();
      if (wasMet) this.parts.startedAnew(this.id);
      this.#unreachable();
    }
    this.#reachable(resumed);
    for (const data of connection.early.splice(0)) this.received(connection, data);
    connection.ask();
    this.pump();
  }

  /** Ends a connection to a peer that has not shown what it should. */
  refuse(connection, why) {
    if (connection.hasEnded) return;
    this.#report("untrusted", { reason: why });
    // Whoever stands in the peer's place must not cost what waits for it.
    const waiting = !this.carrier && this.connections.size < 2 ? this.session.takeUnwritten() : [];
    this.#fail(waiting, "untrusted_peer", `${this.id} is not trusted: ${why}`);
    this.failed(connection, why);
  }

  /** Ends the session where it can't go on, as when the peer has said what can't be true: its process counts as ended. */
  #endSession(connection, why = "it contradicts the session") {
    if (this.current && this.current !== connection) this.retire(this.current);
    this.#restart(why);
    this.failed(connection, why);
  }

  #restart(why) {
    this.#fail(this.session.restart(), "connection_lost", `the session with ${this.id} ended before its agent took the message: ${why}`);
  }

  // -- Messages

  /** Accepts a message, and tells by a promise what became of it. */
  send(message) {
    let text;
    try {
      text = JSON.stringify(message);
    } catch {} // It goes round in a circle, or holds what JSON has no form for.
    if (!text) throw new MeshError("bad_message", "The message can't be written as JSON.", { peer: this.id });
    const outgoing = { text, bytes: sizeOf(text), requestId: message.request_id, at: this.now };
    return new Promise((resolve, reject) => {
      outgoing.settle = (error, receipt = "agent") => (error ? reject(error) : resolve({ target_peer: this.id, receipt }));
      if (this.session.queuedBytes + outgoing.bytes > QUEUE_BYTES) {
        return this.#fail([outgoing], "peer_stalled", `${QUEUE_BYTES} bytes wait for ${this.id}, which takes nothing; try again later`);
      }
      this.isResting = false;
      this.session.push(outgoing);
      this.pump();
      this.offers.consider();
    });
  }

  #fail(messages, code, text, details) {
    for (const { settle, requestId } of messages) settle(new MeshError(code, text, { peer: this.id, requestId, ...details }));
  }

  /** Writes what the peer's window and the browser have room for. */
  pump() {
    const { current: connection, session } = this;
    while (connection && connection === this.current && connection.hasRoom) {
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
        const why = `a message of ${next.bytes} bytes can't be written: ${error.message}`;
        if (connection.mesh.readyState !== "open") return this.failed(connection, why);
        // What has a number can't be left out of the session.
        if (!isFirst) return this.#endSession(connection, why);
        const code = error instanceof TypeError ? "message_too_large" : "connection_lost";
        this.#fail(session.takeUnwritten(session.handed, 1), code, why, { limit });
        continue;
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
    if (this.proposed) return;
    if (connection.speaksSessions) {
      if (!this.session.accept(connection.nextNumber++)) return;
      if (!this.#owesAcknowledgement) this.parts.clock.soon(() => this.#acknowledge());
      this.#owesAcknowledgement = true;
    }
    count(this.taken, bytes);
    const message = parse(data);
    if (isObject(message) && typeof message.type === "string") this.parts.deliver(this.id, message);
    else this.#report("unusable", { bytes });
  }

  /** Tells the peer how many of its messages our handlers have had. */
  #acknowledge() {
    this.#owesAcknowledgement = false;
    if (this.current?.speaksSessions && !this.proposed) this.current.tell({ ack: this.session.taken, window: OWN_WINDOW });
  }

  /** Takes a frame that came in on `mesh-control`. */
  controlled(connection, data) {
    const frame = sizeOf(data) <= CONTROL_FRAME_BYTES && parse(data);
    if (!isObject(frame)) return null;
    if ("hello" in frame) return greeted(this, connection, frame.hello);
    if (connection !== this.current) return null; // Nothing counts before the hello.
    if (isCount(frame.ack) && isCount(frame.window)) this.#acknowledged(connection, frame.ack, frame.window);
    else if ("ping" in frame) connection.tell({ pong: frame.ping });
    else if (isCount(frame.pong)) this.roundTrip = Math.max(0, this.now - frame.pong / 1000);
    else if (isObject(frame.frame)) passed(this, frame.frame);
    else if ("rest" in frame) connection.isToRest = true;
    return null;
  }

  #acknowledged(connection, taken, window) {
    if (this.proposed) return;
    const settled = this.session.acknowledge(taken, window);
    if (!settled) return this.#endSession(connection);
    for (const outgoing of settled) outgoing.settle(null);
    this.pump();
  }

  // -- Signs of life

  /** Something came in on a connection that only the peer can have sent. */
  heard(connection) {
    Object.assign(connection, { heard: this.now, asked: null });
    if (connection !== this.current || this.isReachable) return;
    this.#reachable(true);
    this.pump();
  }

  #reachable(resumed) {
    const wasReachable = this.isReachable;
    this.isReachable = true;
    this.offers.failures = 0;
    if (!wasReachable) this.#report("peerconnected", { resumed });
  }

  #unreachable() {
    if (!this.isReachable) return;
    this.isReachable = false;
    this.#report("peerdisconnected");
  }

  /** Does what is due. */
  step() {
    const { now, current } = this;
    this.framesLeft = Math.min(FRAMES_AT_ONCE, this.framesLeft + 1);
    for (const late of this.all(({ deadline }) => now > deadline)) {
      if (this.parts.secret && late.mesh?.readyState === "open") this.refuse(late, "it has not proved the secret in time");
      else this.failed(late, `not ${late.phase === "offered" ? "answered" : "connected"} in time`);
    }
    if (current?.speaksSessions && !current.hasEnded) {
      const silence = now - current.heard;
      if (silence > (this.session.handed > 0 ? ASK.waiting : ASK.idle)) current.ask();
      if (silence > SILENT) this.#unreachable();
    }
    if (this.isReachable && this.isWell && now - current.entered > LASTING) this.offers.tries = 0;
    this.offers.consider();
    if (!this.isReachable) this.#giveUp(now);
  }

  /** Settles what waits for a peer that is out of reach for too long. */
  #giveUp(now) {
    if (this.carrier && now - this.carrier.heard > RECOVERY_TIMEOUT) {
      if (this.current) this.retire(this.current);
      this.#restart("it can't be reached");
      this.carrier = null;
    }
    const patience = this.carrier ? RECOVERY_TIMEOUT : CONNECT_TIMEOUT;
    if (!this.session.outbox.slice(this.session.numbered).some(({ at }) => now - Math.max(at, this.carrier?.heard ?? 0) > patience)) return;
    this.#fail(this.session.takeUnwritten(), "connect_failed", `${this.id} can't be reached`);
  }

  /** We have slept, so silence means nothing. */
  woke() {
    for (const connection of this.connections) connection.enter(connection.phase);
    this.current?.ask();
  }

  // -- Ends

  /** Ends a connection on our side. */
  retire(connection) {
    if (!this.connections.delete(connection)) return false;
    connection.close();
    if (connection === this.carrier) this.session.suspend();
    // A connection that we have proposed takes its place as soon as its hello is there.
    if (!this.current && !this.proposed) this.#unreachable();
    return true;
  }

  /** Cleans up after a connection that has ended by itself, or an attempt that has failed. */
  failed(connection, reason) {
    const { phase, entered } = connection;
    if (!this.retire(connection)) return;
    this.#report("connectionlost", { reason });
    if (phase !== "open") this.offers.missed(reason);
    else if (this.now - entered < LASTING) this.offers.tries += 1;
    // Once our hello was sent, nothing was taken from the connection in use.
    if (phase === "greeting" && this.current) this.retire(this.current);
    this.isResting ||= connection.isToRest;
    this.offers.consider();
  }

  close() {
    for (const connection of this.connections) this.retire(connection);
    this.#fail(this.session.takeUnwritten(0), "shutting_down", "this peer was closed before the message was taken");
  }

  get isForgettable() {
    return !this.carrier && this.connections.size === 0 && this.session.outbox.length === 0;
  }
}

function count(totals, bytes) {
  totals.messages += 1;
  totals.bytes += bytes;
}
