// The programs of the tests with real ones: registry, sidecars with agents, each in a network of its own, and a browser.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import puppeteer from "puppeteer-core";

export const BINARY = process.env.SIDECAR_BINARY;
export const PLACE = mkdtempSync(join(tmpdir(), "web-"));
const WITHIN = 20000;
const running = new Set();

/** Waits until this holds, or fails. */
export async function until(what, condition, within = WITHIN) {
  const end = performance.now() + within;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${within} ms; logs are in ${PLACE}`);
    await sleep(10);
  }
}

function start(name, command, options = {}) {
  const log = openSync(join(PLACE, `${name}.log`), "a");
  const child = spawn(command[0], command.slice(1), { ...options, stdio: ["pipe", options.reads ? "pipe" : log, log] });
  running.add(child);
  child.ended = new Promise((resolve) => child.on("exit", resolve));
  child.ended.then(() => running.delete(child));
  return child;
}

export async function end(child, signal = "SIGKILL") {
  child.kill(signal);
  await child.ended;
}

export async function endAll() {
  await Promise.all([...running].map((child) => end(child)));
}

/** A registry that takes every key, or with `data` those that are added. */
export class Registry {
  async start({ port = 0, data = null, flags = [] } = {}) {
    const settings = { ...process.env, LISTEN: "0.0.0.0", RUST_LOG: "info", ...(data && { REGISTRY_DATA: data }) };
    const command = [BINARY, "registry", ...(data ? [] : ["--open"]), "--port", String(port), "--until-eof", ...flags];
    this.child = start("registry", command, { env: settings, reads: true });
    const [line] = await new Promise((resolve) => this.child.stdout.once("data", (text) => resolve(String(text).split("\n"))));
    this.port = Number(line.trim().split(":").at(-1));
    this.data = data;
    return this;
  }

  /** Its address for the browser, to which it is this machine. */
  get page() {
    return `http://localhost:${this.port}/`;
  }

  order(...words) {
    return execFileSync(BINARY, words, { env: { ...process.env, REGISTRY_DATA: this.data }, encoding: "utf8" });
  }

  async restart() {
    await end(this.child);
    await this.start({ port: this.port, data: this.data });
  }

  /** Seconds of processor time so far. */
  processorTime() {
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }
}

let networks = 0;

/** Gives this machine's end a way out: browsers without one find no addresses of their own. */
function setUpNetwork() {
  const others = Object.keys(networkInterfaces()).filter((name) => name !== "lo");
  if (others.length > 0) throw new Error("these tests need a network of their own: unshare --net, as make test-web does");
  run("ip", "link", "set", "lo", "up");
  run("ip", "link", "add", "out", "type", "veth", "peer", "name", "nowhere");
  run("ip", "addr", "add", "10.77.0.1/24", "dev", "out");
  for (const end of ["out", "nowhere"]) run("ip", "link", "set", end, "up");
  run("ip", "route", "add", "default", "via", "10.77.0.2");
  // From one sidecar to the other.
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
}

/** A sidecar and its agent, which answers each prompt. It has a network of its own, behind a cable to this one. */
export class Sidecar {
  messages = [];
  /** What the agent makes of a prompt. */
  answer = (text) => `${this.name} has read: ${text}`;
  #buffer = "";

  constructor(name, registry, environment = {}) {
    Object.assign(this, { name, registry, environment, network: (networks += 1) });
    this.socketPath = join(PLACE, `${this.network}.sock`);
  }

  /** Gives it a network. Browsers notice new ones only now and then, so this comes before them. */
  async plug() {
    if (this.network === 1) setUpNetwork();
    const cable = `web${this.network}`;
    const [here, there] = [`10.77.${this.network}.1`, `10.77.${this.network}.2`];
    const registry = `http://${here}:${this.registry.port}`;
    const settings = {
      ...process.env, API_KEY: this.name, REGISTRY_URL: registry, IPC_SOCKET: this.socketPath, ENV_FILE: "none", STUN_URL: "none",
      AGENT_LINGER: "0", RUST_LOG: "info", ...this.environment,
    };
    // It waits for its network, which is given to it as soon as it has its name space.
    const script = 'ip link set lo up; echo; read -r go; exec "$0"';
    this.child = start(this.name, ["unshare", "--net", "--", "sh", "-c", script, BINARY], { env: settings, reads: true });
    await new Promise((resolve) => this.child.stdout.once("data", resolve));
    run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", String(this.child.pid));
    run("ip", "addr", "add", `${here}/24`, "dev", cable);
    run("ip", "link", "set", cable, "up");
    this.inside("ip", "addr", "add", `${there}/24`, "dev", "eth0");
    this.inside("ip", "link", "set", "eth0", "up");
    this.inside("ip", "route", "add", "default", "via", here);
    return this;
  }

  async start() {
    if (!this.child) await this.plug();
    this.child.stdin.write("\n");
    await until(`the socket of ${this.name}`, () => existsSync(this.socketPath));
    this.agent = connect(this.socketPath).on("data", (data) => this.#read(data)).on("error", () => {});
    await until(`${this.name} joins`, () => this.isRegistered);
    return this;
  }

  /** Runs a command in its network. */
  inside(...command) {
    run("nsenter", "--net", "-t", String(this.child.pid), ...command);
  }

  /** Moves to another address, as when a laptop is carried to another network. */
  move() {
    const [old, next] = [2, 3].map((last) => `10.77.${this.network}.${last}`);
    this.inside("ip", "addr", "del", `${old}/24`, "dev", "eth0");
    this.inside("ip", "addr", "add", `${next}/24`, "dev", "eth0");
    this.inside("ip", "route", "replace", "default", "via", `10.77.${this.network}.1`);
  }

  /** Pulls the cable, or plugs it in. */
  setCable(isIn) {
    run("ip", "link", "set", `web${this.network}`, isIn ? "up" : "down");
  }

  send(peer, message) {
    this.#write({ type: "send", payload: { target_peer: peer, message } });
  }

  #write(command) {
    this.agent.write(`${JSON.stringify(command)}\n`);
  }

  #read(data) {
    this.#buffer += data;
    const lines = this.#buffer.split("\n");
    this.#buffer = lines.pop();
    for (const { type, payload } of lines.map((line) => JSON.parse(line))) {
      if ((type === "ready" && payload.registry === "connected") || (type === "registry" && payload.state === "connected")) this.isRegistered = true;
      if (type !== "message") continue;
      const { from_peer: from, message } = payload;
      this.messages.push(message);
      if (message.type !== "agent_prompt") continue;
      this.send(from, { type: "agent_response", request_id: message.request_id, payload: { text: this.answer(message.payload.text) } });
    }
  }
}

function run(...command) {
  execFileSync(command[0], command.slice(1), { stdio: ["ignore", "ignore", "inherit"] });
}

/** The browsers that are installed: name and how puppeteer starts it. */
export const BROWSERS = [
  ["chromium", { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] }],
  ["firefox", { browser: "firefox", executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr" }],
].filter(([name, { executablePath }]) => {
  if (existsSync(executablePath)) return true;
  if (name === "chromium" || process.env.REQUIRE_TOOLS) throw new Error(`${name} is not installed: there is no ${executablePath}`);
  console.log(`${name} is not installed, and skipped`);
  return false;
});

export async function openBrowser(options) {
  const browser = await puppeteer.launch({ headless: true, ...options });
  const page = await browser.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("console", (said) => said.type() === "error" && page.problems.push(said.text()));
  return { browser, page };
}

/** Loads a page, again if the network has changed meanwhile: then Chromium breaks off what it loads. */
export async function load(page, url) {
  for (let times = 0; times < 10; times += 1) {
    let isWhole = true;
    const fails = () => (isWhole = false);
    page.on("requestfailed", fails);
    await page.goto(url);
    page.off("requestfailed", fails);
    if (isWhole) return;
  }
  throw new Error(`${url} does not load`);
}

/** Joins with the page as a person does, by the keyboard. */
export async function joinByHand(page, registry, key) {
  await load(page, registry.page);
  await page.focus("#key");
  await page.keyboard.type(key);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#mesh:not([hidden])", { timeout: WITHIN });
}

/** Waits until the page shows this many peers as connected. */
export function showsConnected(page, count) {
  return page.waitForFunction((least) => document.querySelectorAll("#peers .connected").length >= least, { timeout: WITHIN }, count);
}
