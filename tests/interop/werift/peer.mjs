import { RTCPeerConnection } from "werift";
import { FieldPeer } from "interop-w3c/field_peer.mjs";
import { run } from "interop-w3c/program.mjs";
import { startStunServer } from "./stun_server.mjs";

/** Long enough for the end of a channel to be on its way. */
const GOODBYE_MS = 200;

/** What makes the API of werift that of the W3C. */
class PeerConnection extends RTCPeerConnection {
  #channels = [];

  constructor(configuration) {
    super(configuration);
    this.onDataChannel.subscribe((channel) => this.#take(channel));
  }

  createDataChannel(label) {
    return this.#take(super.createDataChannel(label));
  }

  /** Binary data is a Buffer in werift. */
  #take(channel) {
    const send = channel.send.bind(channel);
    channel.send = (data) => send(typeof data === "string" ? data : Buffer.from(data));
    this.#channels.push(channel);
    return channel;
  }

  /** werift ends without a word, so its channels are closed before. */
  async close() {
    for (const channel of this.#channels) channel.close();
    await new Promise((resolve) => setTimeout(resolve, GOODBYE_MS));
    await super.close();
  }
}

const iceServers = [{ urls: await startStunServer() }];
await run((signal, report) => new FieldPeer(PeerConnection, signal, report, iceServers));
