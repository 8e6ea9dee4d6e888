// The registry's page in a real browser, with real sidecars: by the keyboard, in both colour schemes, on a phone, and as
// the accessibility checker axe-core sees it.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { readFile } from "node:fs/promises";
import { BROWSERS, Registry, Sidecar, end, endAll, joinByHand, load, openBrowser, showsConnected, until } from "./programs.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CHROMIUM = BROWSERS[0][1];

after(endAll);

/** Has axe-core judge what is shown; there must be nothing to complain of. */
async function judge(page, what) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
  console.log(`axe-core, ${what}: ${violations.length} violations, ${passes.length} rules passed`);
  assert.deepEqual(told, [], what);
}

const textOf = (page, selector) => page.$eval(selector, (element) => element.textContent);
const colours = (page, scheme) => page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);

test("a person joins, asks an agent by the keyboard alone, and sees what became of it", { timeout: 60000 }, async () => {
  const registry = await new Registry().start();
  const sidecars = [new Sidecar("pi-sidecar", registry), new Sidecar("alice-sidecar", registry)];
  for (const sidecar of sidecars) await sidecar.plug();
  for (const sidecar of sidecars) await sidecar.start();
  const { browser, page } = await openBrowser(CHROMIUM);
  try {
    await load(page, registry.page);
    await judge(page, "signing in");
    await joinByHand(page, registry, "me-sidecar");
    await showsConnected(page, 2);
    assert.equal(await textOf(page, "#status"), "Joined as me-sidecar");
    // From the button Leave over the peers, which are in the order of their names.
    for (let press = 0; press < 12 && !(await page.evaluate(() => document.activeElement.textContent.startsWith("pi"))); press += 1) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    assert.equal(await textOf(page, "#name"), "pi-sidecar");
    assert.equal(await page.evaluate(() => document.activeElement.id), "text");
    await page.keyboard.type("How warm is it?");
    await page.keyboard.press("Enter");
    const lines = () => page.$$eval("#messages > div", (items) => items.map((item) => item.textContent));
    const [mine, theirs] = await until("the response", async () => (await lines()).length === 2 && (await lines())[0].includes("arrived") && lines());
    assert.match(mine, /How warm is it\?You, .* · arrived: its agent has it/);
    assert.match(theirs, /pi-sidecar has read: How warm is it\?pi, .* · agent_response/);
    await page.click("#summary");
    await until("the card", async () => /chatixia 1.*([0-9A-F]{2}:){31}/s.test(await textOf(page, "#facts")));
    await until("the sidecars' own connection", async () => /Connected toalice/.test(await textOf(page, "#facts")));
    assert.match(await page.$eval("#picture", (picture) => picture.getAttribute("aria-label")), /This page and 2 peers. alice: connected, pi: connected/);

    await judge(page, "joined, light");
    await colours(page, "dark");
    await judge(page, "joined, dark");
    await page.setViewport({ width: 390, height: 844 });
    await judge(page, "joined, on a phone");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "a phone need not be moved sideways");

    await end(sidecars[0].child);
    await until("that it is gone", async () => /can't be reached|Not online/.test(await textOf(page, "#summary")));
    await page.click("#raw");
    await page.$eval("#text", (text) => (text.value = "{"));
    await page.click("#compose .main");
    assert.match(await textOf(page, "#compose-problem"), /This can't be sent/);
    await page.click("#leave");
    await page.waitForSelector("#sign-in:not([hidden])");
    assert.deepEqual(page.problems.filter((problem) => !/ERR_/.test(problem)), []);
  } finally {
    await browser.close();
    await end(registry.child);
  }
});

test("a key that is not known is refused with what to do; a ticket lets in, also behind a #", { timeout: 60000 }, async () => {
  const registry = await new Registry().start({ data: mkdtempSync(`${tmpdir()}/web-registry-`) });
  const { browser, page } = await openBrowser(CHROMIUM);
  const problem = async (key) => {
    await page.goto("about:blank");
    await load(page, registry.page);
    await page.type("#key", key);
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("#problem").textContent !== "");
    return textOf(page, "#problem");
  };
  try {
    assert.match(await problem("ak_wrong"), /does not take the key.*Ask the registry's owner for a new ticket/);
    assert.match(await problem("chatixia1-zzzz"), /This is no ticket, or not all of it/);
    const invite = (address) => registry.order("invite", "laptop", "--registry", address).split("\n")[0].trim();
    assert.match(await problem(invite("http://elsewhere:1")), /another registry: open http:\/\/elsewhere:1\//);
    const ticket = invite(registry.page);
    await joinByHand(page, registry, ticket);
    assert.match(await textOf(page, "#status"), /Joined as laptop-sidecar/);
    assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0, "nothing is kept unasked");
    await page.goto("about:blank");
    await page.goto(`${registry.page}#${ticket}`);
    await page.waitForSelector("#mesh:not([hidden])");
    assert.equal(new URL(page.url()).hash, "");
  } finally {
    await browser.close();
    await end(registry.child);
  }
});

test("what peers send is text and nothing else, and it is bounded", { timeout: 60000 }, async () => {
  const registry = await new Registry().start();
  const bad = await new Sidecar("<img>", registry).start();
  const { browser, page } = await openBrowser(CHROMIUM);
  try {
    await joinByHand(page, registry, "me");
    await showsConnected(page, 1);
    await page.click("#peers button");
    const html = "<script>document.title = 'owned'</script><b onclick=1>b</b>";
    for (let number = 0; number < 1000; number += 1) bad.send("me", { type: html, request_id: html, payload: { text: html, number } });
    for (const payload of [null, 7, [], { text: { text: html } }, { error: 1 }, { toString: 1 }, "x".repeat(100000)]) bad.send("me", { type: "t", payload });
    await page.waitForFunction(() => [...document.querySelectorAll("#messages .text")].at(-1)?.textContent.includes("cut after"));
    const shown = await page.evaluate(() => ({
      title: document.title,
      elements: document.querySelectorAll("main b, main img, main script").length,
      messages: document.querySelectorAll("#messages > div").length,
      events: document.querySelectorAll("#log li").length,
    }));
    assert.deepEqual(shown, { title: "Mesh", elements: 0, messages: 200, events: 200 });
    assert.deepEqual(page.problems.filter((problem) => !/ERR_/.test(problem)), []);
  } finally {
    await browser.close();
    await end(bad.child);
    await end(registry.child);
  }
});
