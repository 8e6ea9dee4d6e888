// Takes the pictures of the page: `pictures.mjs DIRECTORY`. See scripts/page-pictures.

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BROWSERS, Registry, Sidecar, endAll, joinByHand, openBrowser, showsConnected } from "./programs.mjs";

const [directory] = process.argv.slice(2);
const NO_RELAY = { ICE_SERVERS_FROM_REGISTRY: "off" };
const MESH = [["alice", NO_RELAY], ["greenhouse", { ICE_TRANSPORT_POLICY: "relay" }], ["pi", NO_RELAY], ["workshop", NO_RELAY]];
const ANSWERS = {
  "Which beds are too dry?": "Beds 2 and 5. Bed 5 is at 18 % and has had no water since Friday.",
  "Water bed 5 for ten minutes, please.": "Valve 5 is open until 14:32. I will tell you when it is closed.",
};

const registry = await new Registry().start({ flags: ["--relay", "--relay-allow", "10.77.0.0/16"] });
const sidecars = MESH.map(([name, environment]) => new Sidecar(`${name}-sidecar`, registry, environment));
for (const sidecar of sidecars) {
  sidecar.answer = (text) => ANSWERS[text] ?? text;
  await sidecar.plug();
}
for (const sidecar of sidecars) await sidecar.start();

const { browser, page } = await openBrowser(BROWSERS[0][1]);
await page.setViewport({ width: 1280, height: 800 });
await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
await joinByHand(page, registry, "laptop-sidecar");
await showsConnected(page, MESH.length);
await page.evaluate(() => [...document.querySelectorAll("#peers button")].find(({ textContent }) => textContent.startsWith("greenhouse")).click());
for (const text of Object.keys(ANSWERS)) {
  await page.type("#text", text);
  await page.keyboard.press("Enter");
  await sleep(1000);
}
// Until the sidecars have measured and told their own paths.
await sleep(Number(process.env.SETTLE_SECONDS ?? 12) * 1000);
await page.evaluate(() => document.activeElement.blur());
await page.screenshot({ path: join(directory, "page.png") });
await page.click("#summary");
await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
await sleep(300);
await page.screenshot({ path: join(directory, "page-dark.png") });
await page.setViewport({ width: 390, height: 844, deviceScaleFactor: 2 });
await page.click("#summary");
await sleep(2500);
await page.screenshot({ path: join(directory, "page-phone.png"), fullPage: true });
await browser.close();
await endAll();
process.exit(0);
