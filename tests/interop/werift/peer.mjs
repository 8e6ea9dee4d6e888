import { RTCPeerConnection } from "werift";
import { FieldPeer } from "interop-w3c/field_peer.mjs";
import { run } from "interop-w3c/program.mjs";
import { startStunServer } from "./stun_server.mjs";

/** The API of the W3C but for binary data: werift takes and gives a Buffer. */
class PeerConnection extends RTCPeerConnection {
  constructor(configuration) {
    super(configuration);
    this.onDataChannel.subscribe(taking);
  }

  createDataChannel(label) {
    return taking(super.createDataChannel(label));
  }
}

function taking(channel) {
  const send = channel.send.bind(channel);
  channel.send = (data) => send(typeof data === "string" ? data : Buffer.from(data));
  return channel;
}

const iceServers = [{ urls: await startStunServer() }];
await run((signal, report) => new FieldPeer(PeerConnection, signal, report, iceServers));
