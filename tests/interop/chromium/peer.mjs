// Chromium without a window. The FieldPeer runs in a page; this program carries its frames, commands
// and events. CHROMIUM names the browser; the third argument `plain` makes it tell its addresses,
// which it hides behind mDNS names otherwise.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { run } from "interop-w3c/program.mjs";

const flags = process.argv[4] === "plain" ? ["--disable-features=WebRtcHideLocalIpsWithMdns"] : [];
const server = await chromium.launchServer({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", ...flags],
});
const browser = await chromium.connect(server.wsEndpoint());
const page = await browser.newPage();
const source = await readFile(fileURLToPath(import.meta.resolve("interop-w3c/field_peer.mjs")), "utf8");

// Playwright gives the browser a process group of its own.
await run(start, [server.process().pid]);

async function start(signal, report) {
  await page.exposeFunction("signal", signal);
  await page.exposeFunction("report", report);
  await page.addScriptTag({
    type: "module",
    content: `${source}; window.peer = new FieldPeer(RTCPeerConnection, signal, report);`,
  });
  return {
    frame: (frame) => page.evaluate((frame) => window.peer.frame(frame), frame),
    command: (command) => page.evaluate((command) => window.peer.command(command), command),
  };
}
