// The program around a FieldPeer: the registry on one side, the test on the other.
//
//   node peer.mjs NAME REGISTRY      (REGISTRY: host:port)
//
// The test writes commands to standard input and reads events from standard output, a JSON object a
// line each; they are listed in the README. The program ends with its input.

import { createInterface } from "node:readline";
import WebSocket from "ws";

/** Tells the test what happened. */
export function report(event) {
  process.stdout.write(JSON.stringify(event) + "\n");
}

/**
 * Runs a peer. `start(signal, report)` gives a FieldPeer or what stands for one; `groups` are further
 * process groups that belong to this peer.
 */
export async function run(start, groups = []) {
  const [name, registry] = process.argv.slice(2);
  const answer = await fetch(`http://${registry}/api/token`, {
    method: "POST",
    headers: { "x-api-key": name },
  });
  const { token, peer_id } = await answer.json();

  const socket = new WebSocket(`ws://${registry}/ws?token=${token}`);
  const write = (type, target_id, payload) =>
    socket.send(JSON.stringify({ type, peer_id, target_id, payload }));
  const peer = await start(write, report);

  let registered = false;
  socket.on("message", (data) => {
    const frame = JSON.parse(data);
    if (frame.type === "peer_list" && !registered) {
      registered = true;
      report({ event: "registered", groups });
    }
    peer.frame(frame);
  });
  socket.on("error", (error) => fail(`registry: ${error.message}`));
  const register = () => write("register", undefined, {});
  if (socket.readyState === WebSocket.OPEN) register();
  else socket.on("open", register);

  const input = createInterface({ input: process.stdin });
  input.on("line", (line) => peer.command(JSON.parse(line)));
  input.on("close", () => process.exit(0));
}

function fail(reason) {
  report({ event: "failed", reason });
  process.exit(1);
}
