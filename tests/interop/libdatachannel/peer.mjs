import { RTCPeerConnection } from "node-datachannel/polyfill";
import { FieldPeer } from "interop-w3c/field_peer.mjs";
import { run } from "interop-w3c/program.mjs";

await run((signal, report) => new FieldPeer(RTCPeerConnection, signal, report));
