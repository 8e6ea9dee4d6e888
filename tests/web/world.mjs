// A world in simulated time for the browser's module: a registry, a network and WebRTC connections, all made up.
// Datagrams take a while, the two channels of a connection don't wait for each other, and links can be cut.

const FINGERPRINT_BYTES = 32;
const REAL_TIME = 20000; // Milliseconds that a world may take. All that one does takes a fraction of a second.

/** How many proofs are being computed, for which simulated time has to wait. */
let computing = 0;
for (const name of ["importKey", "sign", "verify"]) {
  const compute = crypto.subtle[name].bind(crypto.subtle);
  crypto.subtle[name] = (...about) => {
    computing += 1;
    return compute(...about).finally(() => (computing -= 1));
  };
}

export class World {
  now = 0;
  #events = [];
  #order = 0;
  #seed;
  #cut = new Set();
  connections = [];
  sockets = new Set();
  isRegistryUp = true;
  latency = 10;
  #begun = performance.now();

  constructor(seed = 1) {
    this.#seed = seed;
  }

  /** The next random number below 1 (mulberry32). */
  random() {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  after(time, act) {
    const event = { at: this.now + time, order: (this.#order += 1), act };
    this.#events.push(event);
    return event;
  }

  /** Lets this much time pass. */
  async run(time) {
    const end = this.now + time;
    for (;;) {
      // Promises are kept between two events.
      do await new Promise((resolve) => setImmediate(resolve));
      while (computing > 0);
      const next = this.#events.reduce((first, event) => (first === null || event.at < first.at || (event.at === first.at && event.order < first.order) ? event : first), null);
      if (next === null || next.at > end) break;
      if (performance.now() - this.#begun > REAL_TIME) {
        throw new Error(`after ${REAL_TIME} ms only ${this.now} ms have been simulated: something is done over and over`);
      }
      this.#events.splice(this.#events.indexOf(next), 1);
      this.now = Math.max(this.now, next.at);
      if (!next.isCancelled) next.act();
    }
    this.now = end;
  }

  /** Lets time pass until this holds. */
  async until(condition, most = 60000) {
    const end = this.now + most;
    while (!condition()) {
      if (this.now > end) throw new Error(`not within ${most} ms: ${condition}`);
      await this.run(5);
    }
  }

  /** Lets time pass until a promise is settled; gives what it gives. One that is never settled would end all tests. */
  async settled(what, promise, most = 10000) {
    let isSettled = false;
    const note = () => (isSettled = true);
    promise.then(note, note);
    const end = this.now + most;
    while (!isSettled) {
      if (this.now > end) throw new Error(`not settled within ${most} ms: ${what}`);
      await this.run(5);
    }
    return promise;
  }

  /** What `new Mesh` takes as `runtime`. */
  runtime(name) {
    const world = this;
    const clock = {
      now: () => world.now,
      soon: (act) => world.after(0, act),
      every(act, time) {
        const timer = {};
        const again = () => {
          timer.event = world.after(time, again);
          act();
        };
        timer.event = world.after(time, again);
        return timer;
      },
      stop: (timer) => (timer.event.isCancelled = true),
    };
    return {
      clock,
      fetch: async (url) => world.#answer(url, name),
      WebSocket: class extends FakeSocket {
        constructor() {
          super(world, name);
        }
      },
      RTCPeerConnection: class extends FakeConnection {
        static generateCertificate = async () => ({ fingerprint: world.fingerprint() });
        constructor(configuration) {
          super(world, name, configuration);
        }
      },
    };
  }

  fingerprint() {
    const byte = () => Math.floor(this.random() * 256).toString(16).padStart(2, "0").toUpperCase();
    return Array.from({ length: FINGERPRINT_BYTES }, byte).join(":");
  }

  #answer(url, name) {
    if (!this.isRegistryUp) throw new TypeError("no connection");
    const body = url.pathname.endsWith("/api/token") ? { token: name, peer_id: name, role: "agent" } : { iceServers: [] };
    return { ok: true, status: 200, json: async () => body };
  }

  // ---- The network

  cut(...names) {
    for (const name of names) this.#cut.add(name);
  }

  /** Nothing that was sent meanwhile is lost: SCTP sends it again. */
  mend(...names) {
    for (const name of names) this.#cut.delete(name);
    for (const connection of this.connections) connection.flush();
  }

  isCut(one, other) {
    return this.#cut.has(one) || this.#cut.has(other);
  }

  /** All connections end as when a NAT forgets them and ICE gives up. */
  failConnections() {
    for (const connection of [...this.connections]) connection.fail();
  }

  setRegistry(isUp) {
    this.isRegistryUp = isUp;
    if (!isUp) for (const socket of [...this.sockets]) socket.end("");
  }
}

class FakeSocket {
  readyState = 0;
  constructor(world, name) {
    Object.assign(this, { world, name });
    world.after(world.latency, () => {
      if (!world.isRegistryUp) return this.end("");
      for (const other of world.sockets) if (other.name === name) other.end("the same peer has connected again");
      world.sockets.add(this);
      this.readyState = 1;
      this.onopen?.();
    });
  }

  send(text) {
    const frame = JSON.parse(text);
    this.world.after(this.world.latency, () => {
      if (!this.world.sockets.has(this) || frame.peer_id !== this.name) return;
      if (frame.type === "register") {
        const peers = [...this.world.sockets].map(({ name }) => name).filter((name) => name !== this.name);
        return this.bring({ type: "peer_list", peer_id: "registry", payload: { peers } });
      }
      if (frame.type === "heartbeat") return;
      for (const socket of this.world.sockets) if (socket.name === frame.target_id) socket.bring(frame);
    });
  }

  bring(frame) {
    this.world.after(this.world.latency, () => this.world.sockets.has(this) && this.onmessage?.({ data: JSON.stringify(frame) }));
  }

  end(reason) {
    this.world.sockets.delete(this);
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.world.after(0, () => this.onclose?.({ reason }));
  }

  close() {
    this.end("");
  }
}

class FakeConnection {
  connectionState = "new";
  localDescription = null;
  remoteDescription = null;
  channels = [];
  other = null;

  constructor(world, name, { certificates = [{ fingerprint: world.fingerprint() }] }) {
    Object.assign(this, { world, name, number: world.connections.length, certificate: certificates[0] });
    world.connections.push(this);
  }

  async createOffer() {
    return this.#describe("offer");
  }

  async createAnswer() {
    return this.#describe("answer");
  }

  #describe(type) {
    const sdp = `v=0\r\na=fingerprint:sha-256 ${this.certificate.fingerprint}\r\na=max-message-size:262144\r\na=number:${this.number}\r\n`;
    return { type, sdp };
  }

  async setLocalDescription(description) {
    this.localDescription = description;
    this.#join();
  }

  async setRemoteDescription(description) {
    this.remoteDescription = description;
    this.other = this.world.connections[Number(/a=number:(\d+)/.exec(description.sdp)[1])];
    this.#join();
  }

  async addIceCandidate() {}

  #join() {
    const { other } = this;
    const isDescribed = [this, other].every((side) => side?.localDescription && side.remoteDescription && side.other);
    if (!isDescribed || other.other !== this) return;
    this.world.after(4 * this.world.latency, () => this.#connect());
  }

  #connect() {
    if ([this, this.other].some((side) => side.connectionState === "closed")) return;
    if (this.world.isCut(this.name, this.other.name)) return this.world.after(500, () => this.#connect());
    this.connectionState = this.other.connectionState = "connected";
    for (const side of [this, this.other]) for (const channel of side.channels) side.announce(channel);
  }

  createDataChannel(label) {
    const channel = new FakeChannel(this, label);
    this.channels.push(channel);
    if (this.connectionState === "connected") this.announce(channel);
    return channel;
  }

  /** The other side gets the channel. */
  announce(channel) {
    if (channel.twin) return;
    const twin = new FakeChannel(this.other, channel.label);
    Object.assign(channel, { twin });
    Object.assign(twin, { twin: channel });
    this.other.channels.push(twin);
    this.world.after(2 * this.world.latency, () => channel.open());
    this.world.after(this.world.latency, () => {
      if (this.other.connectionState !== "connected") return;
      this.other.ondatachannel?.({ channel: twin });
      twin.open();
    });
  }

  flush() {
    for (const channel of this.channels) channel.flush();
  }

  fail() {
    if (this.connectionState !== "connected") return;
    this.connectionState = "failed";
    this.onconnectionstatechange?.();
  }

  /** The other side is told, if it can be. */
  close() {
    if (this.connectionState === "closed") return;
    this.connectionState = "closed";
    const { other } = this;
    for (const channel of this.channels) channel.readyState = "closed";
    if (!other || this.world.isCut(this.name, other.name)) return;
    this.world.after(this.world.latency, () => {
      if (other.connectionState !== "connected") return;
      for (const channel of other.channels) channel.shut();
    });
  }
}

class FakeChannel {
  readyState = "connecting";
  bufferedAmount = 0;
  #waiting = []; // Numbered messages that are not under way.
  #sent = 0;
  #early = new Map(); // Those that have overtaken others.
  #given = 0;

  constructor(connection, label) {
    Object.assign(this, { connection, label });
  }

  open() {
    if (this.readyState !== "connecting" || this.connection.connectionState !== "connected") return;
    this.readyState = "open";
    this.onopen?.();
  }

  send(data) {
    if (this.readyState !== "open") throw new Error("not open");
    this.#waiting.push([this.#sent, data]);
    this.#sent += 1;
    this.flush();
  }

  flush() {
    const { world, name, other } = this.connection;
    if (this.readyState !== "open" || world.isCut(name, other.name)) return;
    for (const item of this.#waiting.splice(0)) {
      world.after(world.latency * (0.5 + world.random()), () => {
        // It is sent again when that can help.
        if (world.isCut(name, other.name)) this.#waiting.push(item);
        else this.twin.take(item);
      });
    }
  }

  take([number, data]) {
    this.#early.set(number, data);
    while (this.#early.has(this.#given) && this.readyState === "open" && this.connection.connectionState === "connected") {
      const next = this.#early.get(this.#given);
      this.#early.delete(this.#given);
      this.#given += 1;
      this.onmessage?.({ data: next });
    }
  }

  shut() {
    if (this.readyState !== "open") return;
    this.readyState = "closed";
    this.onclose?.();
  }
}
