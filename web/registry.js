// The link to the registry: a token, then a WebSocket; both again whenever that ends (docs/contract.md, part 3). It is used
// by chatixia.js.

import { MeshError, awaited, isObject, parse, pause } from "./wire.js";

// Times are in milliseconds.
const RETRY = [300, 15000]; // The first pause between two tries, and the longest.
const PATIENCE = 5000;
const ANSWER = 10000; // For what is asked by HTTP,
const EXTRAS = 2000; // and for the ICE servers, without which one can do.
const REFRESH = 60000;
const HEARTBEAT = 15000;
const LEAST = 500; // Between two questions, two reports, or two tries because the network has changed.
const REPLACED = "the same peer has connected again"; // What the registry says when another has come under our name.

export class Registry {
  isConnected = false;
  #retryAt = null; // Infinity: when the person asks for it.
  #tries = 0;
  #triedAt = 0;
  #isRetrying = false; // Nobody waits for the try under way.
  #socket = null;
  #current = null; // Tells what belongs to an earlier connection apart.
  #isAsked = false; // For the list, which has not come yet.
  #askedAt = 0;
  #askAt = 0;
  #heartbeatAt = 0;

  /** `parts` is what the mesh gives, and takes what the registry brings. */
  constructor(base, headers, parts) {
    Object.assign(this, { base, headers, parts });
  }

  get #now() {
    return this.parts.clock.now();
  }

  /** Asks for something by HTTP, which has so long to come. */
  async ask(path, method, limit = ANSWER) {
    const { clock } = this.parts;
    const aborter = new AbortController();
    const late = awaited();
    const timer = clock.every(late.keep, limit);
    const isLate = late.then(() => {
      aborter.abort();
      throw new MeshError("registry", `${this.base.host} does not answer for ${path} in time`);
    });
    return Promise.race([this.#fetch(path, method, aborter.signal), isLate]).finally(() => clock.stop(timer));
  }

  async #fetch(path, method, signal) {
    const asked = this.parts.fetch(new URL(path, this.base), { method, headers: this.headers, cache: "no-store", signal });
    const answer = await asked.catch(({ message }) => {
      throw new MeshError("registry", `${this.base.host} can't be reached: ${message}`);
    });
    if (answer.status === 401) throw new MeshError("refused", `${this.base.host} does not take the key`);
    if (!answer.ok) throw new MeshError("registry", `${this.base.host} answers ${answer.status} for ${path}`);
    return answer.json();
  }

  /** Connects. The promise is that of this try; others follow when it fails, until `close`. */
  connect() {
    this.#isRetrying = false;
    return this.#try();
  }

  async #try() {
    const mine = (this.#current = {});
    this.#triedAt = this.#now;
    this.#retryAt = null;
    try {
      const config = this.ask("api/config", "GET", EXTRAS).catch(() => ({}));
      const { token, peer_id } = await this.ask("api/token", "POST");
      const { iceServers } = await config;
      await this.parts.named(peer_id, iceServers);
      if (mine !== this.#current) throw new MeshError("registry", "the connection was closed meanwhile");
      const url = new URL("ws", this.base);
      url.protocol = url.protocol.replace("http", "ws");
      url.searchParams.set("token", token);
      await this.#open(url, mine);
    } catch (error) {
      if (mine === this.#current) this.#ended(error);
      throw error;
    }
  }

  #open(url, mine) {
    return new Promise((resolve, reject) => {
      const socket = (this.#socket = new this.parts.WebSocket(url));
      const isCurrent = () => mine === this.#current;
      this.#noteAsked();
      socket.onopen = () => isCurrent() && this.#register();
      socket.onmessage = ({ data }) => {
        const frame = isCurrent() && parse(data);
        if (!isObject(frame)) return;
        if (frame.type !== "peer_list") return this.parts.signaled(frame);
        const isNew = !this.isConnected;
        this.#isAsked = false;
        this.#tries = 0;
        this.isConnected = true;
        if (isNew) this.tellPeers(); // It may have started anew.
        this.parts.list(Array.isArray(frame.payload?.peers) ? frame.payload.peers : [], isNew);
        resolve();
      };
      socket.onclose = ({ reason }) => {
        const code = reason === REPLACED ? "replaced" : "registry";
        const error = new MeshError(code, reason || `the connection to ${this.base.host} has ended`);
        if (isCurrent()) this.#ended(error);
        reject(error);
      };
    });
  }

  #ended({ code, message }) {
    this.close();
    this.#isRetrying = true;
    // Two with one name would take the registry's place for it from each other for ever.
    const waits = { refused: REFRESH, replaced: Infinity };
    this.#retryAt = this.#now + (waits[code] ?? pause(RETRY, this.#tries++));
    this.parts.report("registry", { state: code in waits ? code : "disconnected", reason: message });
  }

  close() {
    this.#socket?.close();
    this.#socket = this.#current = this.#retryAt = null;
    this.isConnected = this.#isAsked = false;
  }

  send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #noteAsked() {
    this.#isAsked = true;
    this.#askedAt = this.#now;
    this.#askAt = this.#now + REFRESH;
  }

  #register() {
    this.#noteAsked();
    this.send({ type: "register", peer_id: this.parts.own(), payload: {} });
  }

  /** Asks soon who is online. */
  askForList() {
    if (!this.#isAsked) this.#askAt = Math.min(this.#askAt, this.#askedAt + LEAST);
  }

  /** Tells soon with whom we are connected. */
  tellPeers() {
    this.#heartbeatAt = Math.min(this.#heartbeatAt, this.#now + LEAST);
  }

  /** Whether another has taken our name's place. */
  get isReplaced() {
    return this.#retryAt === Infinity;
  }

  /** Tries again at once: a try under way may wait for an answer that the old network has lost. */
  networkChanged() {
    this.askForList();
    if (this.isReplaced || this.isConnected || !this.#isRetrying || this.#now - this.#triedAt < LEAST) return;
    this.close();
    this.#retryAt = this.#now;
  }

  step(now) {
    if (this.#retryAt !== null && now >= this.#retryAt) this.#try().catch(() => {});
    if (this.#isAsked && now - this.#askedAt > PATIENCE) this.#ended(new MeshError("registry", `${this.base.host} is silent`));
    if (!this.isConnected || this.#isAsked) return;
    if (now >= this.#askAt) this.#register();
    if (now < this.#heartbeatAt) return;
    this.#heartbeatAt = now + HEARTBEAT;
    this.send({ type: "heartbeat", peer_id: this.parts.own(), payload: { mesh_peers: this.parts.connected() } });
  }
}
