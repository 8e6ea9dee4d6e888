import { RTCPeerConnection } from "werift";
import { FieldPeer } from "interop-w3c/field_peer.mjs";
import { run } from "interop-w3c/program.mjs";

/** The API of the W3C but for the types of binary data: werift takes and gives a Buffer. */
class PeerConnection extends RTCPeerConnection {
  createDataChannel(label) {
    return taking(super.createDataChannel(label));
  }

  set ondatachannel(handler) {
    this.onDataChannel.subscribe((channel) => handler({ channel: taking(channel) }));
  }
}

function taking(channel) {
  const send = channel.send.bind(channel);
  channel.send = (data) => send(typeof data === "string" ? data : Buffer.from(data));
  return channel;
}

await run((signal, report) => new FieldPeer(PeerConnection, signal, report));
