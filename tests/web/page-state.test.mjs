// What the page keeps: timers, conversations, the key. It runs here on elements that are made up, with a mesh that does as
// it is told.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Mesh, MeshError } from "../../web/chatixia.js";

class FakeElement {
  #text = "";
  children = [];
  dataset = {};
  hidden = false;
  clientWidth = 640;
  clientHeight = 440;
  value = "";
  handlers = {};
  attributes = new Map();
  classList = { add() {}, remove() {}, toggle() {} };

  get textContent() {
    return this.#text + this.children.map((child) => child.textContent ?? child).join("");
  }
  set textContent(text) {
    this.replaceChildren();
    this.#text = text;
  }
  get firstChild() {
    return this.children[0];
  }
  get lastChild() {
    return this.children.at(-1);
  }
  get childElementCount() {
    return this.children.length;
  }
  append(...added) {
    for (const one of added) if (one instanceof FakeElement) one.parentNode = this;
    this.children.push(...added);
  }
  appendChild(added) {
    this.append(added);
    return added;
  }
  prepend(added) {
    added.parentNode = this;
    this.children.unshift(added);
  }
  replaceChildren() {
    for (const child of [...this.children]) child.remove?.();
    this.children = [];
  }
  remove() {
    this.parentNode?.children.splice(this.parentNode.children.indexOf(this), 1);
    this.parentNode = null;
  }
  setAttribute(name, value) {
    this.attributes.set(name, String(value));
  }
  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }
  addEventListener(type, handle) {
    this.handlers[type] = handle;
  }
  fire(type) {
    return this.handlers[type]({ preventDefault() {} });
  }
  focus() {}
  reset() {}
}

const elements = new Map();
const $ = (id) => elements.get(id) ?? elements.set(id, new FakeElement()).get(id);
const page = Object.assign(new FakeElement(), { getElementById: $, createElement: () => new FakeElement(), createElementNS: () => new FakeElement() });
const storage = new Map([["chatixia", JSON.stringify({ key: "ak_old", secret: null })]]);
Object.assign(globalThis, {
  document: page,
  location: { href: "http://registry/", hash: "", pathname: "/" },
  sessionStorage: { getItem: (name) => storage.get(name) ?? null, setItem: (name, value) => storage.set(name, value), removeItem: (name) => storage.delete(name) },
  matchMedia: () => ({ matches: true }),
  addEventListener: page.addEventListener.bind(page),
  history: { replaceState: () => (location.hash = "") },
  requestAnimationFrame: (act) => act(),
  RTCPeerConnection: class {},
});

// ---- A mesh with one peer, which answers when it is told to.

const PEER = {
  id: "pi", state: "connected", isOnline: true, since: 0, speaksSessions: true, fingerprint: null, failure: null, isProven: false, roundTrip: 1,
  restarts: 0, queued: { messages: 0, bytes: 0 }, sent: { messages: 0, bytes: 0 }, received: { messages: 0, bytes: 0 },
};
const asked = { topology: 0, path: 0 };
let meshes = [];
let connecting = async () => {};
let topology = async () => [];
let path = async () => null;
const tell = (mesh, type, detail) => mesh.dispatchEvent(new CustomEvent(type, { detail }));
Object.defineProperties(Mesh.prototype, { peerId: { get: () => "me" }, peers: { get: () => [{ ...PEER }] } });
Object.assign(Mesh.prototype, {
  connect() {
    meshes.push(this);
    return connecting(this);
  },
  close() {
    this.isClosed = true;
    tell(this, "peerdisconnected", { peer: "pi" });
  },
  topology: () => (asked.topology += 1, topology()),
  path: () => (asked.path += 1, path()),
});

const tasks = async () => {
  for (let count = 0; count < 5; count += 1) await new Promise((resolve) => setImmediate(resolve));
};

mock.timers.enable({ apis: ["setTimeout"] });

/** Lets so many milliseconds pass. */
async function pass(time) {
  for (let passed = 0; passed < time; passed += 250) {
    mock.timers.tick(250);
    await tasks();
  }
}

async function join(key = "ak_1") {
  $("key").value = key;
  $("sign-in").fire("submit");
  await tasks();
  return meshes.at(-1);
}

/** A function whose promises are kept when `answer` is called. */
function held(value) {
  const waiting = [];
  return [() => new Promise((resolve) => waiting.push(resolve)), () => waiting.splice(0).forEach((resolve) => resolve(value))];
}

connecting = async (mesh) => {
  tell(mesh, "registry", { state: "refused", reason: "no" });
  throw new MeshError("refused", "the registry does not take the key");
};
await import("../../web/page.js");
await tasks();
connecting = async () => {};

test("a kept key that is refused is kept no longer", () => {
  assert.equal(meshes.length, 1);
  assert.match($("problem").textContent, /does not take the key/);
  assert.equal(storage.size, 0);
});

test("the registry is asked about others' connections by one after another, whatever happens meanwhile", async () => {
  await join();
  await pass(5000);
  for (let time = 0; time < 10; time += 1) {
    const [ask, answer] = held([]);
    topology = ask;
    await pass(35000);
    page.fire("visibilitychange");
    answer();
    topology = async () => [];
    await tasks();
  }
  await pass(60000);
  asked.topology = 0;
  await pass(60000);
  assert.ok(asked.topology >= 1 && asked.topology <= 3, `${asked.topology} times in a minute`);
  $("leave").fire("click");
  await pass(60000);
  asked.topology = asked.path = 0;
  await pass(60000);
  assert.deepEqual(asked, { topology: 0, path: 0 });
});

test("who leaves leaves nothing behind, also of what is still under way", async () => {
  const answers = [];
  for (let time = 0; time < 5; time += 1) {
    const [[askPath, answerPath], [askTopology, answerTopology]] = [held(null), held([{ from_peer: "pi", to_peer: "secret-peer" }])];
    [path, topology] = [askPath, askTopology];
    answers.push(answerPath, answerTopology);
    const mesh = await join();
    tell(mesh, "peerconnected", { peer: "pi", resumed: false });
    assert.equal($("log").childElementCount, 1);
    $("leave").fire("click");
    assert.equal($("log").childElementCount, 0);
  }
  [path, topology] = [async () => null, async () => []];
  await join();
  for (const answer of answers) answer();
  await pass(4000);
  asked.path = 0;
  await pass(20000);
  assert.ok(asked.path >= 9 && asked.path <= 10, `${asked.path} looks in 20 s`);
  $("peers").firstChild.firstChild.fire("click");
  assert.ok(!$("facts").textContent.includes("secret-peer"));
  $("leave").fire("click");
});

test("who joins twice has joined once", async () => {
  const [connect, answer] = held();
  connecting = connect;
  const first = await join("ak_1");
  const second = await join("ak_2");
  answer();
  await tasks();
  assert.deepEqual([first.isClosed, second.isClosed], [true, undefined]);
  connecting = async () => {};
  $("leave").fire("click");
  assert.ok(second.isClosed);
});

test("a text that is cut says how long it was, also one that came in pieces", async () => {
  const mesh = await join();
  const chunk = { type: "agent_stream_chunk", request_id: "1", payload: { text: "x".repeat(15000) } };
  for (let count = 0; count < 4; count += 1) tell(mesh, "message", { peer: "pi", message: chunk });
  await pass(1000);
  $("peers").firstChild.firstChild.fire("click");
  const [shown] = $("messages").children;
  assert.match(shown.textContent, /^x{20000} … \(cut after 20000 of 60000 letters\)/);
  assert.equal(shown.textContent.match(/cut after/g).length, 1);
  $("leave").fire("click");
});

test("a long type is cut under its message", async () => {
  const mesh = await join();
  tell(mesh, "message", { peer: "pi", message: { type: "t".repeat(5000), request_id: "", payload: null } });
  await pass(1000);
  $("peers").firstChild.firstChild.fire("click");
  assert.ok($("messages").children[0].lastChild.textContent.length < 200);
  $("leave").fire("click");
});

test("a ticket that comes behind the address of an open page is taken", async () => {
  const first = await join();
  location.hash = `#chatixia1-${btoa(JSON.stringify({ registry: "http://registry", key: "ak_2" })).replace(/=*$/, "")}`;
  page.fire("hashchange");
  await tasks();
  assert.deepEqual([first.isClosed, meshes.at(-1) === first, $("mesh").hidden, location.hash], [true, false, false, ""]);
  $("leave").fire("click");
});

test("a browser that allows no storage is joined with, and left", async () => {
  Object.defineProperty(globalThis, "sessionStorage", { get: () => { throw new Error("blocked"); }, configurable: true });
  $("keep").checked = true;
  const mesh = await join();
  assert.deepEqual([$("mesh").hidden, $("problem").textContent], [false, ""]);
  tell(mesh, "registry", { state: "refused" });
  $("leave").fire("click");
  assert.ok(mesh.isClosed);
  assert.equal($("mesh").hidden, true);
});
