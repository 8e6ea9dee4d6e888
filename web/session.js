// The session with a peer, without I/O: numbers, proofs, and what else the contract's part 5 (docs/contract.md) says of
// the text on the wire. It is used by chatixia.js.

const INITIAL_WINDOW = 64 * 1024; // Bytes that a peer may be sent before it has told its window.

/** A failure with one of the contract's error codes. */
export class MeshError extends Error {
  constructor(code, text, details = {}) {
    super(text);
    Object.assign(this, { name: "MeshError", code }, details);
  }
}

const utf8 = new TextEncoder();
export const sizeOf = (data) => (typeof data === "string" ? utf8.encode(data).length : data.byteLength);
/** How long to wait before another try, with some chance in it: twice as long each time, up to a limit. */
export const pause = ([first, most], tries) => Math.min(most, first * 2 ** Math.min(tries, 10)) * (0.5 + Math.random() / 2);
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
export const randomId = () => hex(crypto.getRandomValues(new Uint8Array(16)));
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
export const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isWord = (value, most) => typeof value === "string" && value.length > 0 && value.length <= most && !/\p{Cc}/u.test(value);
export const isId = (value) => isWord(value, 64);
export const isName = (value) => isWord(value, 256);

/** Whether one name is smaller than another, in the order of their bytes in UTF-8. */
export function isSmaller(one, other) {
  const [left, right] = [utf8.encode(one), utf8.encode(other)];
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return at < 0 ? left.length < right.length : at < right.length && left[at] < right[at];
}

export function parse(data) {
  try {
    return JSON.parse(typeof data === "string" ? data : new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch {
    return null;
  }
}

/** The SHA-256 fingerprint of a description's certificate; null if the description has not one exactly. */
export function fingerprint(sdp) {
  const lines = sdp.split(/[\r\n]+/).filter((line) => /fingerprint/i.test(line));
  const found = lines.length === 1 && /^a=fingerprint:sha-256 ((?:[0-9a-f]{2}:){31}[0-9a-f]{2})$/i.exec(lines[0]);
  return found ? found[1].toUpperCase() : null;
}

/** The proof that the sender of a hello knows the mesh's secret (contract part 5). */
export const proof = async (secret, about) => hex(new Uint8Array(await authenticate("sign", secret, about)));

/** Whether a text is that proof. How long this takes tells nothing of the right one. */
export async function isProof(text, secret, about) {
  const bytes = typeof text === "string" && /^[0-9a-f]{64}$/.test(text) && Uint8Array.from(text.match(/../g), (byte) => parseInt(byte, 16));
  return bytes && authenticate("verify", secret, about, bytes);
}

async function authenticate(operation, secret, { conn, role, own, theirs, session }, ...code) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) throw new Error("a browser proves the secret only on a page that comes over https, or from this machine");
  const key = await subtle.importKey("raw", utf8.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [operation]);
  const lines = ["chatixia-mesh-proof-1", conn, role, own, theirs, session, ""].join("\n");
  return subtle[operation]("HMAC", key, ...code, utf8.encode(lines));
}

/** What a ticket of `chatixia-sidecar invite` holds. */
export function readTicket(text) {
  const coded = /^chatixia1-([\w-]+)$/.exec(text.trim())?.[1].replaceAll("-", "+").replaceAll("_", "/");
  let content = null;
  try {
    content = coded && parse(Uint8Array.from(atob(coded), (letter) => letter.charCodeAt(0)));
  } catch {} // It is not Base64.
  if (isObject(content) && isName(content.key) && /^https?:\/\//.test(content.registry)) return content;
  throw new MeshError("bad_ticket", "This is no ticket, or not all of it. A ticket begins with chatixia1- and is one word.");
}

/**
 * Both directions of the conversation with one peer, whatever connections carry it. It numbers messages in the order of
 * their first writing, keeps them until the peer's agent has taken them, and has a new connection repeat the rest.
 * A message is `{ text, bytes, settle(error) }`.
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
  #isTold = false;

  push(outgoing) {
    this.outbox.push(outgoing);
    this.queuedBytes += outgoing.bytes;
  }

  isReplacedBy(session, isOther = false) {
    return this.theirs !== null && (isOther || (session !== null && session !== this.theirs));
  }

  /** Our id for a description to the process `theirs`, or to the one that announced itself last. */
  announcedTo(theirs) {
    return this.#successor && (theirs === null || theirs !== this.theirs) ? this.#successor.own : this.own;
  }

  /** Our id for a hello to the process `theirs`; with another certificate it is another one, whatever it says. */
  tell(theirs, isOther = false) {
    if (this.isReplacedBy(theirs, isOther)) {
      if (this.#successor?.theirs !== theirs) this.#successor = { theirs, own: randomId() };
      return this.#successor.own;
    }
    this.#isTold = true;
    return this.own;
  }

  receivedOf(theirs, isOther = false) {
    return !isOther && (theirs === null || theirs === this.theirs) ? this.taken : 0;
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
    this.#isTold = true;
    return { resumed: false, settled: [], lost };
  }

  /** Starts numbers over, both ways. Gives what was written and may not have arrived. */
  restart(own = this.#isTold ? randomId() : this.own) {
    const lost = this.#settle(this.numbered);
    this.#isTold = false;
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
