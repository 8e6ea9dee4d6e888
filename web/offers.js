// Offers and answers: when a peer is offered a connection, and what becomes of the signals that come from it
// (docs/contract.md, parts 3 and 5). It is used by peer.js.

import { Connection } from "./connection.js";
import { introducersTo } from "./introductions.js";
import { isId, pause, randomId } from "./wire.js";

// Times are in milliseconds.
const RETRY = [500, 30000]; // The first pause between two tries, and the longest.
const PATIENCE = { reachable: 3000, unreachable: 500 }; // After a loss the side that offered before offers first.
const CROSSED = 1000; // An offer of ours that crosses another make's is answered within that, or made again.
const EARLY_CANDIDATES = 64; // The latest, kept until their offer is there,
const EARLY = 10000; // for so long.
const KNOWN_OFFERS = 16; // Remembered, because an offer may come by several ways.

export class Offers {
  failures = 0; // Attempts that have failed since the peer was reached: it may be slow.
  tries = 0; // Those that have failed or worked for a moment only, since a connection has lasted.
  #offerAt = null; // When an offer is due, while one is wanted.
  #known = [];
  #earlyCandidates = [];

  constructor(peer) {
    this.peer = peer;
  }

  // -- Ours

  /** Offers a connection if one is wanted and due. */
  consider() {
    const { peer } = this;
    const { registry, roster } = peer.parts;
    if (!this.#isWanted()) return (this.#offerAt = null);
    this.#offerAt ??= peer.now + this.#patience() + (this.tries > 0 ? pause(RETRY, this.tries - 1) : 0);
    if (peer.now < this.#offerAt) return;
    this.#offerAt = null;
    const introducers = introducersTo(peer);
    if (registry.isConnected ? roster.has(peer.id) : introducers.length > 0) {
      const connection = this.#begin("offerer", randomId(), introducers);
      connection?.describe("offer").catch((error) => peer.failed(connection, error.message));
    } else if (registry.isConnected) this.missed();
  }

  /** Whether another connection is wanted, and none is under way. */
  #isWanted() {
    const { id, carrier, isReachable, isResting, session, parts } = this.peer;
    if (parts.isClosed || this.peer.isWell || this.peer.all(({ phase }) => phase !== "open").length > 0) return false;
    const isMissed = (parts.isFull && parts.roster.has(id)) || (carrier !== null && !isReachable);
    return session.outbox.length > 0 || (isMissed && !isResting);
  }

  #patience() {
    const { carrier, isReachable } = this.peer;
    if (!carrier || carrier.role === "offerer") return 0;
    return isReachable ? PATIENCE.reachable : PATIENCE.unreachable;
  }

  #begin(role, attempt, introducers) {
    try {
      const connection = new Connection(this.peer, role, attempt, introducers, this.peer.parts.configuration);
      this.peer.connections.add(connection);
      return connection;
    } catch (error) {
      this.missed(`the browser makes no connection: ${error.message}`);
      return null;
    }
  }

  /** An attempt has failed, or could not be made. The peer may have gone. */
  missed(reason = this.peer.failure) {
    this.failures += 1;
    this.tries += 1;
    this.peer.failure = reason;
    this.peer.parts.registry.askForList();
  }

  /** The registry lists the peer; did not before, if `isNew`. Then offers to it have been lost. */
  listed(isNew) {
    if (isNew) {
      for (const offered of this.#offered()) this.peer.retire(offered);
      this.failures = this.tries = 0;
      this.#offerAt = null;
    }
    this.consider();
  }

  #offered() {
    return this.peer.all(({ phase }) => phase === "offered");
  }

  // -- The peer's

  /** Takes a signal, which the registry has brought or the peer `introducer`. */
  signaled(type, payload, introducer) {
    const conn = isId(payload.conn) ? payload.conn : null;
    const isMeant = ({ attempt, speaksSessions }) => (conn ? attempt === conn : !speaksSessions);
    if (type === "offer" && typeof payload.sdp === "string") this.#offerCame(payload, conn, introducer);
    else if (type === "answer" && typeof payload.sdp === "string") this.#answerCame(payload, this.#offered().filter(isMeant).at(-1));
    else if (type === "ice_candidate" && typeof payload.candidate === "string") this.#candidateCame(payload, this.peer.all(isMeant).at(-1));
  }

  #offerCame(payload, conn, introducer) {
    const { peer } = this;
    peer.isResting = false;
    const isKnown = this.#known.includes(conn) || peer.all(({ attempt }) => attempt === conn).length > 0;
    if (conn && isKnown) return; // It has come by another way before.
    if (!(payload.v >= 1) && this.#offered().length > 0) {
      // It answers ours and forgets its own, unless it came too late to get it.
      for (const ours of this.#offered()) ours.deadline = Math.min(ours.deadline, peer.now + CROSSED);
      return;
    }
    if (conn) this.#known = [...this.#known.slice(1 - KNOWN_OFFERS), conn];
    // The peer has given up its earlier offer.
    for (const given of peer.all(({ phase, role }) => phase === "connecting" && role === "answerer")) peer.retire(given);
    this.#meetSession(payload.session);
    const connection = this.#begin("answerer", conn, introducer ? [introducer] : []);
    if (!connection) return;
    for (const { at, payload: early } of this.#earlyCandidates.splice(0)) {
      if ((early.conn ?? null) === conn && peer.now - at < EARLY) connection.addCandidate(early);
    }
    const answered = connection.accept("offer", payload).then(() => connection.hasEnded || connection.describe("answer"));
    answered.catch((error) => peer.failed(connection, `its offer can't be used: ${error.message}`));
  }

  #answerCame(payload, offered) {
    if (!offered) return;
    this.#meetSession(payload.session);
    offered.enter("connecting");
    offered.accept("answer", payload).catch((error) => this.peer.failed(offered, `its answer can't be used: ${error.message}`));
  }

  #candidateCame(payload, connection) {
    if (payload.refused && connection?.phase === "offered") this.peer.failed(connection, `it refuses the offer: ${payload.refused}`);
    else if (connection) connection.addCandidate(payload);
    else this.#earlyCandidates = [...this.#earlyCandidates.slice(1 - EARLY_CANDIDATES), { at: this.peer.now, payload }];
  }

  /** Drops the connection to a process that another has replaced. Where a secret is to be proved, its hello does so. */
  #meetSession(session) {
    const { current, parts } = this.peer;
    if (current && !parts.secret && isId(session) && this.peer.session.isReplacedBy(session)) this.peer.retire(current);
  }
}
