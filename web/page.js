// The page of the registry: a peer of the mesh with a face. What peers send is shown as text, and bounded.

import { Mesh, MeshError, readTicket } from "./chatixia.js";
import { Picture } from "./picture.js";

const MESSAGES = 200; // Kept of each conversation,
const CONVERSATIONS = 100; // of so many peers,
const TEXT_LETTERS = 20000; // and shown of each message.
const TYPE_LETTERS = 80; // Shown under it.
const EVENTS = 200;
const SHOW = 150; // Least time between two changes of what is shown, in milliseconds.
const LOOK = 2000; // Between two looks at the paths, in milliseconds.
const TOPOLOGY = [3000, 30000]; // Between two questions about other peers' connections: after a change, and at most.
const SIGNED_IN = "chatixia"; // In the session's storage, which ends with the tab.

const $ = (id) => document.getElementById(id);
const make = (name) => document.createElement(name);
const KINDS = { host: "same network", direct: "direct", relay: "relayed" };
const STATES = { connected: "connected", connecting: "connecting", unreachable: "can't be reached; trying again" };
const stateOf = ({ state, isOnline }) => STATES[state] ?? (isOnline ? "online, not connected" : "not online");
/** What to do about a failure, by its code. */
const ADVICE = {
  refused: "The registry does not take this key. Is it complete? Ask the registry's owner for a new ticket.",
  registry: "The registry does not answer as it should. Is it running? Try again in a moment.",
  replaced: "Another page or program has joined with this key. Only one can at a time: end the other, or get another key for this one.",
  unknown_peer: "It is not online, or this key may not see it.",
  connect_failed: "There is no path to it. If both are behind routers, a TURN server is needed.",
  connection_lost: "It was started anew or is gone. Whether its agent had the message is not known; ask again if that does no harm.",
  message_too_large: "The message is too large for it. Make it smaller.",
  peer_stalled: "It takes nothing at the moment. Try again later.",
  untrusted_peer: "It has not shown the mesh's secret. Leave, and join with the same MESH_SECRET that the sidecars have.",
};

let mesh = null;
let selected = null;
let topology = [];
let paths = new Map();
// By what they wait for: each plan replaces the one before.
let timers = {};
const conversations = new Map();
const picture = new Picture($("picture"), select);

// ---- Joining and leaving

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  join($("key").value.trim(), $("secret").value, $("keep").checked);
});
$("leave").addEventListener("click", leave);
$("again").addEventListener("click", () => mesh.connect().catch(() => {})); // What fails is told by an event.

async function join(text, secret, keeps) {
  $("problem").textContent = "";
  mesh?.close();
  let joined = (mesh = null);
  try {
    const here = new URL(".", location.href);
    const ticket = text.startsWith("chatixia1-") ? ticketFor(here, text) : { key: text };
    const { key } = ticket;
    secret ||= ticket.secret;
    mesh = joined = new Mesh({ registry: here.href, key, secret: secret || null });
    const events = {
      ...{ message, registry, connectionlost, untrusted, unusable },
      ...{ peers: refresh, peerconnected: connected, peerdisconnected: disconnected },
    };
    for (const [name, handle] of Object.entries(events)) joined.addEventListener(name, ({ detail }) => joined === mesh && handle(detail));
    $("status").textContent = "Joining …";
    await joined.connect();
    if (joined !== mesh) return;
    if (keeps) stored((storage) => storage.setItem(SIGNED_IN, JSON.stringify({ key, secret })));
    show(true);
    look();
    askTopology(TOPOLOGY[0]);
  } catch (error) {
    if (joined !== mesh) return;
    mesh?.close();
    mesh = null;
    show(false);
    $("problem").textContent = `${error.message.replace(/\.$/, "")}. ${error.code ? (ADVICE[error.code] ?? "") : ADVICE.registry}`;
    $("key").focus();
  }
}

function ticketFor(here, text) {
  const ticket = readTicket(text);
  const there = new URL(ticket.registry.replace(/\/?$/, "/"));
  if (there.href === here.href) return ticket;
  throw new MeshError("bad_ticket", `This ticket is for another registry: open ${there.href} and join there`);
}

/** What the tab's storage gives; null in a browser that blocks it. */
function stored(act) {
  try {
    return act(sessionStorage);
  } catch {
    return null;
  }
}

const forget = () => stored((storage) => storage.removeItem(SIGNED_IN));

function leave() {
  forget();
  for (const timer of Object.values(timers)) clearTimeout(timer);
  const left = mesh;
  mesh = selected = null;
  left.close();
  [timers, topology, paths] = [{}, [], new Map()];
  conversations.clear();
  $("log").replaceChildren();
  $("sign-in").reset();
  show(false);
  $("key").focus();
}

function show(isJoined) {
  $("sign-in").hidden = isJoined;
  $("mesh").hidden = $("leave").hidden = !isJoined;
  $("again").hidden = true;
  if (!isJoined) $("status").textContent = "Not joined";
  $("talk").hidden = true;
  $("mesh").classList.remove("talking");
  refresh();
}

// ---- What happens

function registry({ state, reason }) {
  const texts = {
    ...ADVICE,
    connected: `Joined as ${mesh.peerId}`,
    disconnected: "The registry can't be reached. Connections stay, and it is tried again",
  };
  $("status").textContent = texts[state];
  $("again").hidden = state === "connected" || !mesh.peerId;
  if (state === "refused") forget();
  note(`registry: ${state}${reason ? ` (${reason})` : ""}`);
}

function connected({ peer, resumed }) {
  note(`${peer} is connected${resumed ? " again; nothing was lost" : ""}`);
  soon();
}

function disconnected({ peer }) {
  note(`${peer} can't be reached`);
  soon();
}

const connectionlost = ({ peer, reason }) => note(`a connection to ${peer} has ended: ${reason}`);
const untrusted = ({ peer, reason }) => note(`${peer} is not trusted: ${reason}`);
const unusable = ({ peer, bytes }) => note(`${peer} has sent ${bytes} bytes that are no message`);

function message({ peer, message }) {
  picture.message(peer, mesh.peerId);
  const conversation = conversationWith(peer);
  const { type, request_id, payload } = message;
  const streamed = type.endsWith("_stream_chunk") && request_id;
  const open = conversation.find((entry) => streamed && entry.streamed === request_id);
  const text = textOf(type, payload);
  if (open) open.text = clipped(open.text + text, (open.letters += text.length));
  else add(conversation, { streamed, text: clipped(text), letters: text.length, about: type.slice(0, TYPE_LETTERS), at: new Date() });
  if (peer !== selected) conversation.hasNews = true;
  note(`${type} from ${peer}`);
  refresh();
}

/** What a person reads of a payload. */
function textOf(type, payload) {
  const { error, text, chunk, result, message } = Object(payload);
  const said = typeof payload === "string" ? payload : (error ?? text ?? chunk ?? result ?? message);
  const isPlain = typeof said === "string" && (typeof payload === "string" || Object.keys(payload).length <= 2);
  return isPlain ? said : payload === null ? `(${type})` : JSON.stringify(payload, null, 2);
}

/** As much of a text of so many letters as is shown; its beginning is enough. */
function clipped(text, letters = text.length) {
  return letters > TEXT_LETTERS ? `${text.slice(0, TEXT_LETTERS)} … (cut after ${TEXT_LETTERS} of ${letters} letters)` : text;
}

function conversationWith(peer) {
  if (!conversations.has(peer)) {
    if (conversations.size >= CONVERSATIONS) conversations.delete(conversations.keys().next().value);
    conversations.set(peer, []);
  }
  return conversations.get(peer);
}

function add(conversation, entry) {
  conversation.push(entry);
  if (conversation.length > MESSAGES) conversation.shift();
  return entry;
}

function note(text) {
  const [item, time] = [make("li"), make("time")];
  time.textContent = new Date().toLocaleTimeString();
  item.append(time, text.slice(0, 500));
  $("log").prepend(item);
  if ($("log").childElementCount > EVENTS) $("log").lastChild.remove();
}

// ---- Talking

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  send($("text").value);
});
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || ($("raw").checked && !event.ctrlKey)) return;
  event.preventDefault();
  send($("text").value);
});
$("raw").addEventListener("change", () => {
  const isRaw = $("raw").checked;
  $("compose").classList.toggle("raw", isRaw);
  $("text-label").textContent = isRaw ? "Message, as JSON" : "Ask";
  $("text").rows = isRaw ? 8 : 2;
  if (isRaw) $("text").value = JSON.stringify(prompt($("text").value), null, 2);
  else $("text").value = "";
});

const prompt = (text) => ({ type: "agent_prompt", request_id: newId(), payload: { text } });
const newId = () => Array.from(crypto.getRandomValues(new Uint32Array(3)), (number) => number.toString(36)).join("");

async function send(text) {
  const peer = selected;
  if (!text.trim() || !peer) return;
  $("compose-problem").textContent = "";
  let message;
  try {
    message = $("raw").checked ? JSON.parse(text) : prompt(text);
    if (typeof message?.type !== "string") throw new Error("a message is an object with a type, which is text");
  } catch (error) {
    $("compose-problem").textContent = `This can't be sent: ${error.message}`;
    return;
  }
  if (!$("raw").checked) $("text").value = "";
  const entry = add(conversationWith(peer), { isMine: true, text: clipped(text), about: null, at: new Date() });
  picture.message(mesh.peerId, peer);
  refresh();
  try {
    const { receipt } = await mesh.send(peer, message);
    entry.about = receipt === "agent" ? "arrived: its agent has it" : "handed over; this peer does not tell whether it arrived";
  } catch (error) {
    entry.hasFailed = true;
    entry.about = `not delivered: ${error.message}. ${ADVICE[error.code] ?? ""}`;
  }
  refresh();
}

function select(peer) {
  selected = peer;
  $("talk").hidden = false;
  $("mesh").classList.add("talking");
  const conversation = conversationWith(peer);
  conversation.hasNews = false;
  $("messages").replaceChildren();
  showNow();
  $("text").focus();
}

// ---- Looking

/** Looks at the paths now and again, while somebody looks at the page. */
async function look() {
  const joined = mesh;
  if (!document.hidden) {
    const connected = joined.peers.filter(({ state }) => state === "connected");
    const found = await Promise.all(connected.map(async ({ id }) => [id, await joined.path(id).catch(() => null)]));
    if (joined !== mesh) return;
    paths = new Map(found.filter(([, path]) => path));
    refresh();
  }
  plan("look", look, LOOK);
}

/** Asks the registry who else is connected to whom: soon after a change, and less and less while there is none. */
async function askTopology(wait) {
  const [joined, planned] = [mesh, timers.topology];
  if (!joined) return;
  let next = Math.min(wait * 2, TOPOLOGY[1]);
  if (!document.hidden) {
    const told = await joined.topology().catch(() => null);
    if (joined !== mesh || planned !== timers.topology) return; // It was left, or is asked again soon.
    if (told && JSON.stringify(told) !== JSON.stringify(topology)) {
      topology = told;
      next = TOPOLOGY[0];
      refresh();
    }
  }
  plan("topology", () => askTopology(next), next);
}

/** Something has changed, so others may have changed too. */
function soon() {
  refresh();
  plan("topology", () => askTopology(TOPOLOGY[0]), TOPOLOGY[0] / 2);
}

/** Does something after a while, in place of what was planned for the same. */
function plan(what, act, time) {
  clearTimeout(timers[what]);
  timers[what] = setTimeout(act, time);
}

document.addEventListener("visibilitychange", () => !document.hidden && mesh && soon());
addEventListener("resize", refresh);

// ---- Showing

let isPlanned = false;
let shownAt = 0;

/** Shows all anew with a frame soon, but not with every one. */
function refresh() {
  if (isPlanned) return;
  isPlanned = true;
  setTimeout(() => requestAnimationFrame(showNow), Math.max(0, shownAt + SHOW - performance.now()));
}

function showNow() {
  isPlanned = false;
  shownAt = performance.now();
  if (mesh) showAll(mesh.peers.sort((one, other) => (one.id < other.id ? -1 : 1)));
}

function showAll(peers) {
  showPicture(peers);
  showPeers(peers);
  if (selected === null) return;
  const peer = peers.find(({ id }) => id === selected);
  showCard(peer);
  showMessages(conversationWith(selected), peer);
}

const short = (id) => id.replace(/-sidecar$/, "");
const milliseconds = (time) => (time == null ? null : `${time < 10 ? Math.max(0.1, time).toFixed(1) : Math.round(time)} ms`);
/** The least of what the browser has measured and of what our own question has taken. */
function roundTrip({ id, state, roundTrip: asked }) {
  const measured = [paths.get(id)?.roundTrip, asked].filter(Boolean);
  return state === "connected" && measured.length > 0 ? milliseconds(Math.min(...measured)) : null;
}

function showPicture(peers) {
  const nodes = [{ id: mesh.peerId, label: `${short(mesh.peerId)} (here)`, state: "connected" }];
  for (const peer of peers) nodes.push({ id: peer.id, label: short(peer.id), state: peer.state });
  const own = peers.filter(({ state }) => state === "connected");
  const edges = own.map((peer) => ({ from: mesh.peerId, to: peer.id, kind: paths.get(peer.id)?.kind, time: roundTrip(peer) }));
  for (const { from_peer: from, to_peer: to, path, round_trip_ms: time } of topology) {
    const kind = Object.hasOwn(KINDS, path ?? "") ? path : null;
    if (from !== mesh.peerId && to !== mesh.peerId) edges.unshift({ from, to, kind, time: milliseconds(time) });
  }
  picture.show(nodes, edges, selected);
}

function showPeers(peers) {
  const list = $("peers");
  const known = new Map([...list.children].map((item) => [item.dataset.peer, item]));
  for (const peer of peers) {
    const item = known.get(peer.id) ?? newPeer(peer.id);
    known.delete(peer.id);
    const [, name, detail] = item.firstChild.children;
    item.className = peer.state;
    name.className = conversations.get(peer.id)?.hasNews ? "news" : "";
    item.firstChild.setAttribute("aria-pressed", String(peer.id === selected));
    put(name, short(peer.id) + (name.className ? " •" : ""));
    const path = [KINDS[paths.get(peer.id)?.kind], roundTrip(peer)].filter(Boolean).join(", ");
    put(detail, peer.state === "connected" ? path : stateOf(peer));
    list.append(...(item.parentNode ? [] : [item]));
  }
  for (const gone of known.values()) gone.remove();
  $("nobody").hidden = peers.length > 0;
}

function newPeer(id) {
  const [item, button] = [make("li"), make("button")];
  item.dataset.peer = id;
  button.type = "button";
  button.append(make("span"), make("span"), make("small"));
  button.firstChild.className = "dot";
  button.addEventListener("click", () => select(id));
  item.append(button);
  return item;
}

function showCard(peer) {
  put($("name"), selected);
  if (!peer) return put($("summary"), "Not online, so it can't be asked now. It appears among the peers when it is back.");
  const path = paths.get(peer.id);
  const others = topology.flatMap(({ from_peer: from, to_peer: to }) => (from === peer.id ? [to] : to === peer.id ? [from] : []));
  put($("summary"), [stateOf(peer), KINDS[path?.kind], roundTrip(peer)].filter(Boolean).join(" · "));
  const facts = {
    Connected: peer.state === "connected" ? `since ${new Date(peer.since).toLocaleString()}` : null,
    Reconnected: peer.restarts > 0 ? `${peer.restarts} times; nothing was lost` : null,
    "Last failure": peer.failure,
    Path: path ? `${KINDS[path.kind]} (${path.local ?? "?"} to ${path.remote ?? "?"}${path.address ? `, ${path.address}` : ""})` : null,
    "Round trip": roundTrip(peer),
    Messages: `${amount(peer.sent)} sent, ${amount(peer.received)} received`,
    Waiting: peer.queued.messages > 0 ? amount(peer.queued) : null,
    Version: peer.since ? (peer.speaksSessions ? "chatixia 1, with receipts" : "another make, without receipts") : null,
    Trust: peer.isProven ? "has proved the mesh's secret" : "by the registry's word",
    Certificate: peer.fingerprint,
    "Connected to": [...new Set(others.filter((id) => id !== mesh.peerId))].map(short).join(", ") || null,
  };
  if ($("facts").childElementCount === 0) $("facts").append(...Object.keys(facts).flatMap((name) => [term(name), make("dd")]));
  for (const [index, fact] of Object.values(facts).entries()) {
    const [name, value] = [0, 1].map((place) => $("facts").children[index * 2 + place]);
    name.hidden = value.hidden = !fact;
    put(value, fact ?? "");
  }
}

function term(name) {
  const element = make("dt");
  element.textContent = name;
  return element;
}

function amount({ messages, bytes }) {
  const size = bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  return `${messages} (${size})`;
}

function showMessages(conversation, peer) {
  const underWay = peer?.state === "connected" ? "on its way …" : "waits until it can be reached …";
  const list = $("messages");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const before = list.childElementCount;
  const shown = new Set(conversation.map((entry) => (entry.element ??= newMessage(entry))));
  for (const item of [...list.children]) if (!shown.has(item)) item.remove();
  for (const { element, text, about, at, hasFailed, isMine } of conversation) {
    if (!element.parentNode) list.append(element);
    element.className = `${isMine ? "mine" : ""}${hasFailed ? " failed" : ""}`;
    put(element.firstChild, text);
    put(element.lastChild, `${isMine ? "You" : short(selected)}, ${at.toLocaleTimeString()} · ${about ?? underWay}`);
  }
  if (isAtEnd || list.childElementCount !== before) list.scrollTop = list.scrollHeight;
}

function newMessage() {
  const [item, text, about] = [make("div"), make("div"), make("small")];
  text.className = "text";
  item.append(text, about);
  return item;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// ---- Joining by itself: with a ticket behind the #, which the registry never sees, or as before the tab was loaded.

/** Joins with the ticket in the address, if there is one, and takes it out of there. */
function joinByAddress() {
  const ticket = location.hash.slice(1);
  if (ticket) history.replaceState(null, "", location.pathname);
  if (!ticket.startsWith("chatixia1-")) return false;
  if (mesh) leave();
  join(ticket, "", false);
  return true;
}

addEventListener("hashchange", joinByAddress);
const kept = stored((storage) => JSON.parse(storage.getItem(SIGNED_IN)));
if (!joinByAddress() && kept) join(kept.key, kept.secret, true);
