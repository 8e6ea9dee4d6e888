// The module in real browsers, with real sidecars whose network moves, whose cable is pulled, and whose registry goes.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, test } from "node:test";
import { BINARY, BROWSERS, Registry, Sidecar, end, endAll, load, openBrowser, until } from "./programs.mjs";

const EVERY = 25; // Milliseconds between two messages of each side.

after(endAll);

/** Has the page be a peer, `window.mesh`, which notes what it gets. */
async function joinByModule(page, name, options = {}) {
  await page.evaluate(async (name, options) => {
    const { Mesh } = await import("/chatixia.js");
    window.got = [];
    window.lines = [];
    window.mesh = new Mesh({ registry: "/", key: name, ...options });
    mesh.addEventListener("message", ({ detail: { message } }) => got.push(message));
    for (const type of ["registry", "peerconnected", "peerdisconnected", "connectionlost", "untrusted"]) {
      mesh.addEventListener(type, ({ detail }) => lines.push([type, ...Object.values(detail)].join(" ")));
    }
    await mesh.connect();
  }, name, options);
}

const isConnected = (page, peer) => page.evaluate((peer) => mesh.peers.some(({ id, state }) => id === peer && state === "connected"), peer);
const ask = (page, peer, text) =>
  page.evaluate((peer, text) => mesh.request(peer, { type: "agent_prompt", payload: { text } }, { timeout: 20000 }).then(({ payload }) => payload.text), peer, text);

/** Both sides number their messages while `disturb` does its work; all arrive, once and in order. */
async function talkThrough(page, sidecar, say, disturb) {
  const before = { page: await page.evaluate(() => got.length), sidecar: sidecar.messages.length };
  await page.evaluate((peer, every) => {
    window.receipts = [];
    window.sender = setInterval(() => receipts.push(mesh.send(peer, { type: "number", payload: receipts.length })), every);
  }, sidecar.name, EVERY);
  let sent = 0;
  const sender = setInterval(() => sidecar.send("page", { type: "number", payload: sent++ }), EVERY);
  const passes = async (what) => {
    const [next, last] = [await page.evaluate(() => receipts.length), sent];
    const atSidecar = () => sidecar.messages.length > before.sidecar + next;
    await until(what, async () => atSidecar() && (await page.evaluate((count) => got.length > count, before.page + last)));
  };
  await passes("messages both ways");
  await disturb();
  await passes("messages both ways again");
  clearInterval(sender);
  const receipts = await page.evaluate(() => {
    clearInterval(sender);
    return Promise.all(receipts).then((all) => all.map(({ receipt }) => receipt));
  });
  assert.ok(receipts.every((receipt) => receipt === "agent"));
  await until("all messages at the page", () => page.evaluate((count) => got.length >= count, before.page + sent));
  const inOrder = (count) => Array.from({ length: count }, (_, number) => number);
  const atPage = await page.evaluate((from) => got.slice(from).map(({ payload }) => payload), before.page);
  const atSidecar = sidecar.messages.slice(before.sidecar).map(({ payload }) => payload);
  assert.deepEqual(atPage, inOrder(sent));
  assert.deepEqual(atSidecar, inOrder(receipts.length));
  for (const line of await page.evaluate(() => lines.splice(0))) say(`  page: ${line}`);
  say(`  ${receipts.length} messages to ${sidecar.name} and ${sent} back: each once, in order, with its receipt`);
}

for (const [browserName, options] of BROWSERS) {
  // The newcomer offers. Which name is smaller matters when both do.
  for (const [offerer, name] of [["page", "a-agent"], ["sidecar", "z-agent"]]) {
    test(`${browserName}, the ${offerer} offers: the conversation goes on whatever moves`, { timeout: 120000 }, async () => {
      const say = (text) => console.log(`${browserName}, ${offerer} offers: ${text}`);
      const registry = await new Registry().start();
      const sidecar = await new Sidecar(name, registry).plug();
      const { browser, page } = await openBrowser(options);
      try {
        if (offerer === "page") await sidecar.start();
        await load(page, registry.page);
        await joinByModule(page, "page");
        if (offerer === "sidecar") await sidecar.start();
        await until("the connection", () => isConnected(page, name));
        say(`asked ${name}: ${await ask(page, name, "Are you there?")}`);
        const info = await page.evaluate(() => mesh.peers[0]);
        assert.deepEqual([info.speaksSessions, info.role], [true, offerer === "page" ? "offerer" : "answerer"]);
        const path = await page.evaluate((peer) => mesh.path(peer), name);
        assert.deepEqual([path.kind, path.remote], ["host", "host"]);

        say(`${name} moves to another address`);
        await talkThrough(page, sidecar, say, () => sidecar.move());

        say(`the cable of ${name} is pulled until the page counts it as out of reach`);
        await talkThrough(page, sidecar, say, async () => {
          sidecar.setCable(false);
          await until("that it is out of reach", async () => !(await isConnected(page, name)));
          sidecar.setCable(true);
          await until("another connection", () => isConnected(page, name));
        });

        say("the registry is killed and started again while the page's connection is closed");
        await talkThrough(page, sidecar, say, async () => {
          await end(registry.child);
          sidecar.setCable(false);
          await until("that it is out of reach", async () => !(await isConnected(page, name)));
          await registry.start({ port: registry.port });
          sidecar.setCable(true);
          await until("another connection", () => isConnected(page, name));
        });
        say(`asked ${name}: ${await ask(page, name, "And now?")}`);
        assert.deepEqual(page.problems.filter((problem) => !/ERR_|WebSocket|can.t establish|NetworkError/.test(problem)), []);
      } finally {
        await browser.close();
        await end(sidecar.child);
        await end(registry.child);
      }
    });
  }
}

test("a browser that is killed and comes back is another process", { timeout: 60000 }, async () => {
  const registry = await new Registry().start();
  const sidecar = await new Sidecar("agent", registry).start();
  for (let round = 0; round < 2; round += 1) {
    const { browser, page } = await openBrowser(BROWSERS[0][1]);
    await load(page, registry.page);
    await joinByModule(page, "page");
    assert.equal(await ask(page, "agent", String(round)), `agent has read: ${round}`);
    browser.process().kill("SIGKILL");
  }
  await end(sidecar.child);
  await end(registry.child);
});

const knowsSecrets = execFileSync(BINARY, ["--help"], { encoding: "utf8" }).includes("MESH_SECRET");

for (const [browserName, options] of BROWSERS) {
  for (const [offerer, name] of [["page", "a-agent"], ["sidecar", "z-agent"]]) {
    test(`${browserName}, the ${offerer} offers: who knows the secret is let in`, { timeout: 60000, skip: !knowsSecrets && "this build knows no MESH_SECRET" }, async () => {
      const registry = await new Registry().start();
      const sidecar = await new Sidecar(name, registry, { MESH_SECRET: "the secret of this mesh" }).plug();
      const { browser, page } = await openBrowser(options);
      try {
        if (offerer === "page") await sidecar.start();
        await load(page, registry.page);
        for (const secret of ["the secret of this mesh", "another secret than that", null]) {
          await joinByModule(page, "page", { secret });
          if (!sidecar.agent) await sidecar.start();
          if (secret === "the secret of this mesh") {
            await until("the connection", () => isConnected(page, name));
            assert.equal(await ask(page, name, "hello"), `${name} has read: hello`);
            assert.ok(await page.evaluate(() => mesh.peers[0].isProven));
          } else {
            const failure = await until("a refusal", () => page.evaluate(() => mesh.peers[0]?.failure));
            assert.match(failure, secret === null ? /may have another secret/ : /proof of the secret is wrong|may have another secret/);
            assert.ok(!(await isConnected(page, name)));
          }
          console.log(`${browserName}, ${offerer} offers, page has ${secret ? `"${secret}"` : "no secret"}: ${(await page.evaluate(() => mesh.peers[0])).failure ?? "connected"}`);
          await page.evaluate(() => mesh.close());
        }
      } finally {
        await browser.close();
        await end(sidecar.child);
        await end(registry.child);
      }
    });
  }
}
