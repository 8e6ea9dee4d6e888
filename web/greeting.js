// The greeting: the hellos with which both sides agree on the connection that carries the session, and the proof that a peer
// knows the mesh's secret (docs/contract.md, part 5). The offerer proposes a connection by its hello, the answerer takes
// it by its own. It is used by peer.js.

import { fingerprint, isCount, isId, isName, isObject, isProof, isSmaller, proof } from "./wire.js";

/** Proposes a connection that we have offered, and that has opened. */
export function propose(peer, connection) {
  sayHello(peer, connection).catch((error) => peer.refuse(connection, error.message));
}

/** Takes the peer's hello. Resolves when that is done with. */
export async function greeted(peer, connection, hello) {
  const isAwaited = connection.phase === (connection.role === "offerer" ? "greeting" : "connecting");
  if (!isAwaited || !isObject(hello) || !isId(hello.session) || !isCount(hello.received)) return;
  try {
    await checkProof(peer, connection, hello);
    await connection.opened;
    connection.announced = hello.session;
    if (connection.role === "answerer") await sayHello(peer, connection);
  } catch (error) {
    return peer.refuse(connection, error.message);
  }
  if (!connection.hasEnded) peer.adopt(connection, hello);
}

async function sayHello(peer, connection) {
  const { secret, own } = peer.parts;
  const hello = () => peer.session.hello(connection.announced, peer.isOther(connection));
  let session, made;
  do {
    ({ session } = hello());
    made = secret ? await proof(secret, claim(connection, connection.role, session)) : undefined;
  } while (session !== hello().session); // Another connection may have begun another session meanwhile.
  if (connection.hasEnded) return;
  if (connection.role === "answerer" && givesWay(peer)) return peer.retire(connection);
  const { received } = hello();
  connection.enter("greeting");
  Object.assign(connection, { told: session, nextNumber: received + 1 });
  connection.tell({ hello: { session, received, peer_id: own(), proof: made } });
}

/** Whether a connection that the peer proposes gives way to one that we have proposed. Otherwise ours gives way. */
function givesWay(peer) {
  const proposed = peer.proposed;
  const yields = isSmaller(peer.id, peer.parts.own());
  if (proposed && yields) peer.retire(proposed);
  return proposed !== undefined && !yields;
}

/** Throws an error that says what is wrong, if the peer does not prove that it knows the secret. */
async function checkProof(peer, connection, { session, proof: shown, peer_id: name }) {
  const { secret } = peer.parts;
  if (!secret) return;
  const role = connection.role === "offerer" ? "answerer" : "offerer";
  const isRight = await isProof(shown, secret, claim(connection, role, session));
  if (!isRight) throw new Error(shown ? "its proof of the secret is wrong" : "it has no secret");
  if (name === peer.id) return;
  throw new Error(isName(name) ? `it calls itself ${name}; somebody may change names` : "it does not tell its name");
}

/** What the proof of the side with this role is about. */
function claim(connection, role, session) {
  const certificates = [fingerprint(connection.pc.localDescription.sdp), connection.fingerprint];
  const [own, theirs] = role === connection.role ? certificates : certificates.reverse();
  if (!own || !theirs) throw new Error("a certificate has no SHA-256 fingerprint");
  if (own === theirs) throw new Error("it shows our own certificate; somebody sends back what we send");
  return { conn: connection.attempt, role, own, theirs, session };
}
