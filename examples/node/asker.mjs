#!/usr/bin/env node
// An agent that asks another: prints what the agent of PEER makes of TEXT.
//
//   API_KEY=alice examples/node/asker.mjs PEER TEXT
//
// Spawns a sidecar of its own, which SIDECAR_BINARY names, or else PATH has, and talks over its standard input
// and output.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";

const [peer, text] = process.argv.slice(2);
if (text === undefined) {
  console.error("usage: asker.mjs PEER TEXT");
  process.exit(2);
}

// The sidecar is set by the environment, and ends with its input: when that is closed, or this process ends.
const binary = process.env.SIDECAR_BINARY ?? "chatixia-sidecar";
const sidecar = spawn(binary, ["--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
sidecar.on("error", (error) => console.error(`cannot start ${binary}: ${error.message}`));
// If it has ended, there is no answer, which is told by the exit code.
sidecar.stdin.on("error", () => {});

// Unless an answer comes.
process.exitCode = 1;
const requestId = randomUUID();
const message = { type: "task_request", request_id: requestId, payload: { text } };
// With an id the sidecar answers the command itself, too: `ok`, or `error` and why.
const command = { type: "send", id: 1, payload: { target_peer: peer, message } };

console.error(`waiting for ${peer}`);
let asked = false;
for await (const line of createInterface({ input: sidecar.stdout })) {
  const event = JSON.parse(line);
  const payload = event.payload ?? {};
  if (event.type === "peer_connected" && payload.peer_id === peer && !asked) {
    sidecar.stdin.write(JSON.stringify(command) + "\n");
    asked = true;
  } else if (event.type === "error" && event.id === 1) {
    console.error(`${payload.code}: ${payload.message}`);
    sidecar.stdin.end();
  } else if (event.type === "message" && payload.message.request_id === requestId) {
    console.log(payload.message.payload.text);
    process.exitCode = 0;
    sidecar.stdin.end();
  }
}
