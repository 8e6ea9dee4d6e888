// The session with a peer, without I/O (docs/contract.md, part 5). It is used by peer.js.

import { randomId } from "./wire.js";

const INITIAL_WINDOW = 64 * 1024; // Bytes that a peer may be sent before it has told its window.

/**
 * Both directions of the conversation with one peer, whatever connections carry it. It numbers messages in the order of
 * their first writing, keeps them until the peer's agent has taken them, and has a new connection repeat the rest.
 * Of a message it reads `bytes` alone, its size; the rest is for whoever gave it and gets it back.
 */
export class Session {
  // Our id. It belongs to the process `theirs`; another one under the same name is told another.
  own = randomId();
  theirs = null;
  // The first `handed` are written to the current connection, the first `numbered` to any.
  outbox = [];
  handed = 0;
  numbered = 0;
  handedBytes = 0;
  queuedBytes = 0;
  window = INITIAL_WINDOW;
  acknowledged = 0; // How many have left the outbox because the peer's agent has taken them.
  taken = 0; // How many of the peer's messages our handlers have had.
  // May count what an older connection has carried and this one has yet to repeat.
  #takenByPeer = 0;
  // A process that announced itself in place of `theirs`, and the id that it was told.
  #successor = null;

  push(outgoing) {
    this.outbox.push(outgoing);
    this.queuedBytes += outgoing.bytes;
  }

  isReplacedBy(session, isOther = false) {
    return this.theirs !== null && (isOther || (session !== null && session !== this.theirs));
  }

  /** What our hello tells the process `theirs`; with another certificate it is another one, whatever it says. */
  hello(theirs, isOther) {
    if (!this.isReplacedBy(theirs, isOther)) return { session: this.own, received: this.taken };
    if (this.#successor?.theirs !== theirs) this.#successor = { theirs, own: randomId() };
    return { session: this.#successor.own, received: 0 };
  }

  /** The next message to write, if the peer's window has room for it. One that is larger may go alone. */
  next(isLimited) {
    const next = this.outbox[this.handed];
    const fits = next && (this.handedBytes === 0 ? this.window > 0 : this.handedBytes + next.bytes <= this.window);
    return next && (fits || !isLimited) ? next : null;
  }

  get nextIsUnnumbered() {
    return this.handed >= this.numbered;
  }

  written() {
    this.handedBytes += this.outbox[this.handed++].bytes;
    this.numbered = Math.max(this.numbered, this.handed);
    return this.#settle(Math.min(this.#takenByPeer - this.acknowledged, this.handed));
  }

  /** Takes out the next unwritten message, or all of them; they get no number. */
  takeUnwritten(from = this.numbered, count = Infinity) {
    const taken = this.outbox.splice(from, count);
    for (const { bytes } of taken) this.queuedBytes -= bytes;
    return taken;
  }

  /** The peer's agent has taken `taken` messages. Gives those that this settles; null if it can't be true. */
  acknowledge(taken, window) {
    if (!this.#isPossible(taken) || taken < this.#takenByPeer) return null;
    this.#takenByPeer = taken;
    this.window = window;
    return this.#settle(Math.min(taken - this.acknowledged, this.handed));
  }

  /**
   * Takes a peer's hello; ours has `told` it our id. With another certificate it is another process, whatever it says.
   * Gives `{ resumed, settled, lost }`; null if it can't be true.
   */
  greet(theirs, received, told, isOther) {
    if (theirs === this.theirs && told === this.own && !isOther) {
      if (!this.#isPossible(received)) return null;
      const settled = this.#settle(received - this.acknowledged);
      this.#begin({ window: INITIAL_WINDOW }, received);
      return { resumed: true, settled, lost: [] };
    }
    if (received > 0) return null;
    const lost = this.restart(told);
    this.theirs = theirs;
    return { resumed: false, settled: [], lost };
  }

  /** Starts numbers over, both ways. Gives what was written and may not have arrived. */
  restart(own = randomId()) {
    const lost = this.#settle(this.numbered);
    this.#begin({ own, theirs: null, acknowledged: 0, taken: 0, window: INITIAL_WINDOW }, 0);
    return lost;
  }

  /** Nothing counts as written to the current connection any more. */
  suspend() {
    this.handed = this.handedBytes = 0;
  }

  /** Whether message `number` of the peer is the next one, which is taken then. */
  accept(number) {
    const isNext = number === this.taken + 1;
    if (isNext) this.taken = number;
    return isNext;
  }

  #begin(state, takenByPeer) {
    Object.assign(this, state);
    this.#takenByPeer = takenByPeer;
    this.#successor = null;
    this.suspend();
  }

  #isPossible(taken) {
    return taken >= this.acknowledged && taken <= this.acknowledged + this.numbered;
  }

  #settle(count) {
    const settled = this.outbox.splice(0, Math.max(0, count));
    for (const [index, { bytes }] of settled.entries()) {
      this.queuedBytes -= bytes;
      if (index < this.handed) this.handedBytes -= bytes;
    }
    this.acknowledged += settled.length;
    this.handed = Math.max(0, this.handed - settled.length);
    this.numbered = Math.max(0, this.numbered - settled.length);
    return settled;
  }
}
