#!/usr/bin/env node
// Measures the page: how long from opening it to the first answer, whether its picture drops frames with 20 peers, and
// what 50 pages that are open cost the registry. `make bench-web` runs it in a network of its own.

import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { Mesh } from "../../web/chatixia.js";
import { BROWSERS, Registry, Sidecar, end, endAll, joinByHand, openBrowser, showsConnected } from "./programs.mjs";

const CHROMIUM = BROWSERS[0][1];
const PEERS = Number(process.env.PEERS ?? 20);
const RATE = Number(process.env.RATE ?? 1);
const PAGES = 50;
const IDLE_SECONDS = Number(process.env.IDLE_SECONDS ?? 60);

const middle = (numbers) => numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)];

await firstAnswer();
await frames();
await idleRegistry();
await endAll();
process.exit(0);

/** From the navigation to the page's agent having its first answer, with a ticket behind the #. */
async function firstAnswer() {
  const registry = await new Registry().start();
  const sidecar = await new Sidecar("agent", registry).start();
  const { browser, page } = await openBrowser(CHROMIUM);
  const times = [];
  for (let round = 0; round < 12; round += 1) {
    await page.goto("about:blank");
    await page.goto(registry.page, { waitUntil: "domcontentloaded" });
    times.push(await page.evaluate(async (key) => {
      const { Mesh } = await import("/chatixia.js");
      const mesh = new Mesh({ registry: "/", key });
      await mesh.connect();
      await mesh.request("agent", { type: "agent_prompt", payload: { text: "?" } });
      const took = performance.now(); // Since the navigation began.
      mesh.close();
      return took;
    }, `page-${round}`));
  }
  await browser.close();
  await end(sidecar.child);
  await end(registry.child);
  const [best, median, worst] = [Math.min(...times), middle(times), Math.max(...times)].map(Math.round);
  console.log(`page opened to first answer: ${best} ms at best, ${median} ms in the middle, ${worst} ms at worst of ${times.length}`);
}

/** The page with many peers, each of which sends RATE messages a second. */
async function frames() {
  const registry = await new Registry().start();
  const sidecars = [];
  for (let number = 0; number < PEERS; number += 1) sidecars.push(await new Sidecar(`peer-${number}`, registry, { MESH: "lazy" }).start());
  const { browser, page } = await openBrowser(CHROMIUM);
  await joinByHand(page, registry, "page");
  await showsConnected(page, PEERS);
  await page.click("#peers button");
  let number = 0;
  const talk = setInterval(() => sidecars[number++ % PEERS].send("page", { type: "status", payload: { number } }), 1000 / RATE / PEERS);
  await sleep(3000);
  const session = await page.createCDPSession();
  await session.send("Performance.enable");
  const metrics = async () => Object.fromEntries((await session.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
  const before = await metrics();
  const gaps = await page.evaluate(() => new Promise((resolve) => {
    const gaps = [];
    let last = performance.now();
    const end = last + 10000;
    requestAnimationFrame(function next() {
      const now = performance.now();
      gaps.push(now - last);
      last = now;
      if (now < end) requestAnimationFrame(next);
      else resolve(gaps);
    });
  }));
  clearInterval(talk);
  const took = await metrics();
  const work = (took.TaskDuration - before.TaskDuration) / (took.Timestamp - before.Timestamp);
  const late = gaps.filter((gap) => gap > 25).length;
  console.log(`${PEERS} peers, ${RATE * PEERS} messages a second: ${gaps.length} frames in 10 s, ${late} late by half a frame or more, the longest ${Math.round(Math.max(...gaps))} ms; the page worked ${(100 * work).toFixed(1)} % of the time`);
  await browser.close();
  for (const { child } of sidecars) await end(child);
  await end(registry.child);
}

/** As many peers as pages do what pages do towards the registry while nothing happens. */
async function idleRegistry() {
  const registry = await new Registry().start();
  const runtime = { RTCPeerConnection: class {}, WebSocket };
  const meshes = Array.from({ length: PAGES }, (_, number) => new Mesh({ registry: registry.page, key: `page-${number}`, mode: "lazy", runtime }));
  for (const mesh of meshes) await mesh.connect();
  // The page asks every 30 s while nothing changes.
  const asking = meshes.map((mesh, number) => setTimeout(() => {
    mesh.topology();
    asking[number] = setInterval(() => mesh.topology(), 30000);
  }, (number * 30000) / PAGES));
  await sleep(2000);
  const before = registry.processorTime();
  await sleep(IDLE_SECONDS * 1000);
  const used = registry.processorTime() - before;
  console.log(`${PAGES} pages open and idle for ${IDLE_SECONDS} s: the registry took ${used.toFixed(2)} s of a core, ${((100 * used) / IDLE_SECONDS).toFixed(2)} %`);
  for (const timer of asking) clearTimeout(timer);
  for (const mesh of meshes) mesh.close();
  await end(registry.child);
}
