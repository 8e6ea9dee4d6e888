// A peer of the simulated world that does only what a test tells it to: of ours or of another make.

export const SESSION = "5c81b7ed";

/** A peer that registers and keeps what it is sent. */
export class Scripted {
  /** Offers and answers that have come, oldest first. */
  offers = [];
  answers = [];

  constructor(world, name, { speaksSessions = true } = {}) {
    Object.assign(this, { world, name, speaksSessions, runtime: world.runtime(name) });
  }

  async join() {
    this.socket = new this.runtime.WebSocket();
    this.socket.onopen = () => this.socket.send(JSON.stringify({ type: "register", peer_id: this.name, payload: {} }));
    let isListed = false;
    this.socket.onmessage = ({ data }) => {
      const { type, payload } = JSON.parse(data);
      if (type === "offer") this.offers.push(payload);
      if (type === "answer") this.answers.push(payload);
      isListed ||= type === "peer_list";
    };
    await this.world.until(() => isListed);
    return this;
  }

  signal(target, type, pc, conn) {
    const extension = this.speaksSessions ? { v: 1, session: SESSION, conn } : {};
    const payload = { sdp: pc.localDescription.sdp, ...extension };
    this.socket.send(JSON.stringify({ type, peer_id: this.name, target_id: target, payload }));
  }

  /** Waits for the next offer. */
  async offered() {
    await this.world.until(() => this.offers.length > 0);
    return this.offers.shift();
  }

  /** Answers an offer. Gives the connection that comes of it. */
  async answer(target, { sdp, conn }) {
    const link = new ScriptedLink(new this.runtime.RTCPeerConnection({ certificates: this.certificates() }));
    await link.pc.setRemoteDescription({ type: "offer", sdp });
    await link.pc.setLocalDescription(await link.pc.createAnswer());
    this.signal(target, "answer", link.pc, conn);
    return link;
  }

  /** Offers a connection, and gives it when it is answered. */
  async offer(target, conn) {
    const link = new ScriptedLink(new this.runtime.RTCPeerConnection({ certificates: this.certificates() }));
    link.take(link.pc.createDataChannel("mesh"));
    await link.pc.setLocalDescription(await link.pc.createOffer());
    this.signal(target, "offer", link.pc, conn);
    await this.world.until(() => this.answers.length > 0);
    await link.pc.setRemoteDescription({ type: "answer", sdp: this.answers.shift().sdp });
    link.take(link.pc.createDataChannel("mesh-control"));
    return link;
  }

  /** It is one process, so it has one certificate. */
  certificates() {
    this.certificate ??= { fingerprint: this.world.fingerprint() };
    return [this.certificate];
  }
}

/** A connection of such a peer. */
class ScriptedLink {
  /** What has come on the two channels. */
  messages = [];
  frames = [];
  isClosed = false;

  constructor(pc) {
    this.pc = pc;
    pc.ondatachannel = ({ channel }) => this.take(channel);
  }

  take(channel) {
    this[channel.label === "mesh" ? "mesh" : "control"] = channel;
    const kept = channel.label === "mesh" ? this.messages : this.frames;
    channel.onmessage = ({ data }) => kept.push(JSON.parse(data));
    channel.onclose = () => (this.isClosed = true);
    if (channel.label === "mesh") this.onmesh?.(channel);
  }

  get isOpen() {
    return this.mesh?.readyState === "open" && (this.control === undefined || this.control.readyState === "open");
  }

  /** The peer's hello, once it is there. */
  get hello() {
    return this.frames.find(({ hello }) => hello)?.hello;
  }

  tell(frame) {
    this.control.send(JSON.stringify(frame));
  }

  send(message) {
    this.mesh.send(JSON.stringify(message));
  }

  /** Whether the peer's own end takes no more, as when a slow line leaves what is written with the browser. */
  setClogged(isClogged) {
    const { twin } = this.mesh;
    twin.bufferedAmount = isClogged ? 1024 * 1024 : 0;
    if (!isClogged) twin.onbufferedamountlow();
  }
}
