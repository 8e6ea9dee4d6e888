// A STUN server for this machine alone (RFC 8489). werift asks one of the internet when it is told of
// none, and waits 5 s for the answer.

import dgram from "node:dgram";
import { isIPv4 } from "node:net";
import { once } from "node:events";

const MAGIC_COOKIE = 0x2112a442;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const XOR_MAPPED_ADDRESS = 0x0020;
const HEADER_BYTES = 20;

/** Starts it; gives its URL. */
export async function startStunServer() {
  const socket = dgram.createSocket("udp4");
  socket.on("message", (request, { address, port }) => {
    if (request.length >= HEADER_BYTES && request.readUInt16BE(0) === BINDING_REQUEST && isIPv4(address))
      socket.send(success(request, address, port), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return `stun:127.0.0.1:${socket.address().port}`;
}

function success(request, address, port) {
  const response = Buffer.alloc(HEADER_BYTES + 12);
  request.copy(response, 0, 0, HEADER_BYTES);
  response.writeUInt16BE(BINDING_SUCCESS, 0);
  response.writeUInt16BE(12, 2);
  response.writeUInt16BE(XOR_MAPPED_ADDRESS, 20);
  response.writeUInt16BE(8, 22);
  response.writeUInt8(1, 25);
  response.writeUInt16BE(port ^ (MAGIC_COOKIE >>> 16), 26);
  const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  response.writeUInt32BE((number ^ MAGIC_COOKIE) >>> 0, 28);
  return response;
}
