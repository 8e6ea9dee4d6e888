// A program that uses all that chatixia.d.ts promises: `tsc` judges it, nobody runs it.

import { Mesh, MeshError, readTicket, type Message, type Path, type PeerInfo } from "../../web/chatixia.js";

export async function use(): Promise<void> {
  const mesh = new Mesh({ registry: "https://registry.example", key: readTicket("chatixia1-").key, secret: "s", mode: "lazy" });
  mesh.addEventListener("message", ({ detail: { peer, message } }) => console.log(peer.length, message.type));
  mesh.addEventListener("registry", ({ detail }) => console.log(detail.state === "replaced"));
  await mesh.connect();
  const peers: PeerInfo[] = mesh.peers;
  const path: Path | null = await mesh.path(peers[0].id);
  const response: Message = await mesh.request("pi-sidecar", { type: "agent_prompt", payload: { text: "?" } }, { timeout: 1000 });
  const { receipt } = await mesh.send("pi-sidecar", { type: "ping" });
  const isKnown: boolean = receipt === "agent" && path?.kind === "relay" && response.payload !== null;
  console.log(isKnown, (await mesh.broadcast({ type: "ping" })).failed[0]?.code, (await mesh.topology()).length);
  // @ts-expect-error A message has a type.
  await mesh.send("pi-sidecar", { payload: 1 }).catch((error: MeshError) => console.log(error.code));
  // @ts-expect-error There is no such event.
  mesh.addEventListener("nothing", () => {});
}
