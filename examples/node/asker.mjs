#!/usr/bin/env node
// An agent that asks another: prints what the agent of PEER makes of TEXT.
//
//   API_KEY=alice examples/node/asker.mjs PEER TEXT
//
// Spawns a sidecar of its own, which SIDECAR_BINARY names, or else PATH has.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const [peer, text] = process.argv.slice(2);
if (text === undefined) {
  console.error("usage: asker.mjs PEER TEXT");
  process.exit(2);
}

// The sidecar is set by the environment, and ends soon after its agent has left.
const socketPath = join(tmpdir(), `asker-${process.pid}.sock`);
const binary = process.env.SIDECAR_BINARY ?? "chatixia-sidecar";
const sidecar = spawn(binary, { env: { ...process.env, IPC_SOCKET: socketPath }, stdio: ["ignore", "ignore", "inherit"] });

let ended = false;
sidecar.on("exit", () => (ended = true));
sidecar.on("error", (error) => {
  console.error(`cannot start ${binary}: ${error.message}`);
  ended = true;
});

// The socket is there within milliseconds, whether the registry can be reached or not.
for (let tries = 0; !existsSync(socketPath); tries += 1) {
  if (ended || tries === 50) {
    console.error("The sidecar has made no socket.");
    process.exit(1);
  }
  await sleep(100);
}

const connection = connect(socketPath);
function finish(code) {
  process.exitCode = code;
  connection.destroy();
  sidecar.kill("SIGTERM");
}

// Unless an answer comes.
process.exitCode = 1;
const requestId = randomUUID();
const message = { type: "task_request", request_id: requestId, payload: { text } };
// With an id the sidecar answers the command itself, too: `ok`, or `error` and why.
const command = { type: "send", id: 1, payload: { target_peer: peer, message } };

console.error(`waiting for ${peer}`);
let asked = false;
for await (const line of createInterface({ input: connection })) {
  const event = JSON.parse(line);
  const payload = event.payload ?? {};
  if (event.type === "peer_connected" && payload.peer_id === peer && !asked) {
    connection.write(JSON.stringify(command) + "\n");
    asked = true;
  } else if (event.type === "error" && event.id === 1) {
    console.error(`${payload.code}: ${payload.message}`);
    finish(1);
  } else if (event.type === "message" && payload.message.request_id === requestId) {
    console.log(payload.message.payload.text);
    finish(0);
  }
}
