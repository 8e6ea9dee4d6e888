// What goes over the wire, without I/O: names, ids, fingerprints, proofs and tickets (docs/contract.md). It is used
// by the other modules.

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

/** A promise that is kept when its `keep` is called. */
export function awaited() {
  let keep;
  return Object.assign(new Promise((resolve) => (keep = resolve)), { keep });
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
