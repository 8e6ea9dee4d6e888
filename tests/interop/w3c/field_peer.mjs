// A sidecar as there are others in the field (contract parts 3 and 4), on any stack with the API of
// the W3C. It runs in a browser's page as well as in Node, so it imports nothing.

/** What is sent to a peer whose stack names no limit of its own, in bytes. */
const SIDECAR_TAKES_BYTES = 262144;

/** What may wait in the channel when many messages are sent, in bytes; it is filled up again from half of it. */
const WAITING_BYTES = 1024 * 1024;

/** How the message begins that is sent back where others are dropped. */
const END = '{"payload":null,';

export class FieldPeer {
  #RTCPeerConnection;
  #signal;
  #report;
  #iceServers;
  /** The one connection: { peer, pc, mesh, early }. A newer one takes its place. */
  #connection = null;
  #turn = Promise.resolve();
  /** What is done with messages: `report`, `echo` or `drop`. */
  #treatment = "report";

  /**
   * `signal(type, target, payload)` sends a frame to the registry, `report(event)` tells the test
   * what happens.
   */
  constructor(RTCPeerConnection, signal, report, iceServers = []) {
    this.#RTCPeerConnection = RTCPeerConnection;
    this.#iceServers = iceServers;
    this.#signal = signal;
    this.#report = report;
  }

  /** Takes a frame of the registry; one after the other, since each step of WebRTC takes a while. */
  frame(frame) {
    return this.#next(() => this.#handle(frame));
  }

  /** Does what the test asks for. */
  command(command) {
    return this.#next(() => this.#obey(command));
  }

  #next(step) {
    this.#turn = this.#turn
      .then(step)
      .catch((error) => this.#report({ event: "failed", reason: String(error?.stack ?? error) }));
    return this.#turn;
  }

  async #handle({ type, peer_id: sender, payload }) {
    if (type === "peer_list") {
      for (const peer of payload.peers) await this.#offer(peer);
    } else if (type === "offer") {
      await this.#answer(sender, payload.sdp);
    } else if (type === "answer" && this.#connection?.pc.signalingState === "have-local-offer") {
      await this.#describe(this.#connection, { type: "answer", sdp: payload.sdp });
    } else if (type === "ice_candidate" && this.#connection?.peer === sender) {
      await this.#candidate(this.#connection, payload);
    }
  }

  async #offer(peer) {
    const connection = this.#connect(peer);
    this.#take(connection, connection.pc.createDataChannel("mesh"));
    this.#report({ event: "offering" });
    const offer = await connection.pc.createOffer();
    await connection.pc.setLocalDescription(offer);
    this.#announce(connection, "offer");
  }

  async #answer(peer, sdp) {
    this.#report({ event: "offered" });
    const connection = this.#connect(peer);
    connection.pc.ondatachannel = ({ channel }) => {
      if (channel.label === "mesh") this.#take(connection, channel);
      else this.#report({ event: "other", label: channel.label, state: "offered" });
    };
    await this.#describe(connection, { type: "offer", sdp });
    const answer = await connection.pc.createAnswer();
    await connection.pc.setLocalDescription(answer);
    this.#announce(connection, "answer");
  }

  #announce({ peer, pc }, type) {
    const { sdp } = pc.localDescription;
    const announced = /^a=max-message-size:(\d+)/m.exec(sdp);
    this.#report({ event: "described", announces: announced && Number(announced[1]) });
    this.#signal(type, peer, { sdp });
  }

  /** A new connection; an older one is replaced, as peers in the field do. */
  #connect(peer) {
    const old = this.#connection;
    const pc = new this.#RTCPeerConnection({ iceServers: this.#iceServers });
    const connection = { peer, pc, mesh: null, early: [] };
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate) return;
      const { candidate: line, sdpMid, sdpMLineIndex } = candidate;
      this.#signal("ice_candidate", peer, { candidate: line, sdpMid, sdpMLineIndex });
    };
    pc.onconnectionstatechange = () =>
      this.#report({ event: "connection", state: pc.connectionState });
    this.#connection = connection;
    old?.pc.close();
    return connection;
  }

  async #describe(connection, description) {
    await connection.pc.setRemoteDescription(description);
    const early = connection.early;
    connection.early = null;
    for (const candidate of early) await connection.pc.addIceCandidate(candidate);
  }

  async #candidate(connection, { candidate, sdpMid, sdpMLineIndex }) {
    const init = { candidate, sdpMid, sdpMLineIndex };
    if (connection.early) connection.early.push(init);
    else await connection.pc.addIceCandidate(init);
  }

  #take(connection, mesh) {
    connection.mesh = mesh;
    mesh.binaryType = "arraybuffer";
    const opened = () =>
      this.#report({
        event: "open",
        max_send: Math.min(connection.pc.sctp?.maxMessageSize ?? Infinity, SIDECAR_TAKES_BYTES),
      });
    mesh.onmessage = ({ data }) => {
      const binary = typeof data !== "string";
      if (this.#treatment === "echo") return mesh.send(data);
      const text = binary ? new TextDecoder().decode(data) : data;
      if (this.#treatment === "drop") return text.startsWith(END) && mesh.send(data);
      this.#report({ event: "message", text, binary });
    };
    mesh.onclose = () => {
      if (this.#connection === connection) this.#report({ event: "closed" });
    };
    // A channel that was offered to us may be open before it is handed over.
    if (mesh.readyState === "open") opened();
    else mesh.onopen = opened;
  }

  async #obey(command) {
    const { pc, mesh } = this.#connection;
    if (command.do === "send") {
      mesh.send(command.binary ? new TextEncoder().encode(command.text) : command.text);
    } else if (command.do === "open") {
      this.#openOther(pc, command);
    } else if (command.do === "treat") {
      this.#treatment = command.as;
      this.#report({ event: "treating" });
    } else if (command.do === "flood") {
      await this.#flood(mesh, command);
    } else if (command.do === "leave") {
      await pc.close();
    }
  }

  /** Sends a message many times, as fast as the channel takes it, and another one at the end. */
  async #flood(mesh, { text, count, end }) {
    mesh.bufferedAmountLowThreshold = WAITING_BYTES / 2;
    for (let sent = 0; sent < count; sent++) {
      if (mesh.bufferedAmount > WAITING_BYTES)
        await new Promise((resolve) => (mesh.onbufferedamountlow = resolve));
      mesh.send(text);
    }
    mesh.send(end);
  }

  /** Another channel, which is no business of the sidecar's, and a message on it. */
  #openOther(pc, { label, text }) {
    const other = pc.createDataChannel(label);
    const state = (state) => () => this.#report({ event: "other", label, state });
    other.onopen = () => {
      other.send(text);
      state("open")();
    };
    other.onmessage = state("message");
    other.onclose = state("closed");
  }
}
