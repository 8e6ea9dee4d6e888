// Introductions while the registry is away: signals that go over `mesh-control`, to the peer itself or by way of others
// (docs/contract.md, part 5). It is used by peer.js.

import { fingerprint, isId, isObject } from "./wire.js";

const INTRODUCERS = 3;
const SILENCE = 500; // Milliseconds after which a peer may be connected by another's word.

/** The peers that pass our signals on to this one: that one itself while it is well, or some of the others. */
export function introducersTo(peer) {
  const { peers, registry } = peer.parts;
  if (registry.isConnected || !peer.carrier?.speaksSessions) return [];
  if (peer.isWell) return [peer.id];
  return [...peers.values()].filter((other) => other.isWell && other.carrier.speaksSessions).slice(0, INTRODUCERS).map(({ id }) => id);
}

/** Gives a peer a signaling frame. */
export function pass(peer, frame) {
  if (peer?.current?.speaksSessions) peer.current.tell({ frame });
}

/** Takes a signaling frame that a peer has brought: for us, or to be passed on. */
export function passed(bringer, frame) {
  const { peer_id: sender, target_id: target, type, payload } = frame;
  if (!isObject(payload) || bringer.framesLeft <= 0) return;
  bringer.framesLeft -= 1;
  const { peers, listed, own } = bringer.parts;
  if (target !== own()) {
    if (sender === bringer.id && listed.has(sender) && listed.has(target)) pass(peers.get(target), frame);
  } else if (sender === bringer.id || isBelieved(peers.get(sender), bringer.id, type, payload)) {
    peers.get(sender).offers.signaled(type, payload, bringer.id);
  }
}

/** Whether a signal of a peer counts that another has brought. It says less than the registry's word. */
function isBelieved(peer, introducer, type, { conn, session, sdp }) {
  if (!peer?.carrier?.speaksSessions || !isId(conn)) return false;
  const isAsked = peer.all(({ attempt, introducers }) => attempt === conn && introducers.includes(introducer)).length > 0;
  if (type === "ice_candidate") return isAsked || peer.current?.attempt === conn;
  const { fingerprint: known } = peer.carrier;
  const isTheirs = typeof sdp === "string" && known !== null && fingerprint(sdp) === known;
  const isSilent = !peer.current || peer.now - peer.current.heard > SILENCE;
  return isTheirs && isSilent && (type === "answer" ? isAsked : session === peer.session.theirs);
}
