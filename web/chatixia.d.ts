// Types of chatixia.js.

/** How a peer is reached and by whom it is let in. */
export interface MeshOptions {
  /** The registry's address: `https://host[:port][/prefix]`; in a browser also relative to the page. */
  registry: string | URL;
  /** The key, sent as `x-api-key`. Without one `peerId` is sent, which a registry run with `--open` takes. */
  key?: string;
  /** The token of a paired device, in place of a key. */
  deviceToken?: string;
  /** The name that we are to have. Connecting fails if the key belongs to another. */
  peerId?: string | null;
  /** `MESH_SECRET`: peers have to prove that they know it. An empty one is an error. Browsers do so only over https, or on `localhost`. */
  secret?: string | null;
  /** `full` (the default) connects to all that the registry lists, `lazy` when something is sent. */
  mode?: "full" | "lazy";
  /** `relay` takes only paths over TURN servers. */
  iceTransportPolicy?: RTCIceTransportPolicy;
  /** What a browser brings, for other programs. */
  runtime?: Runtime;
}

/** What stands for a browser elsewhere. What is left out is taken from `globalThis`. */
export interface Runtime {
  RTCPeerConnection?: unknown;
  WebSocket?: unknown;
  fetch?: typeof fetch;
  clock?: Partial<Clock>;
}

/** Time, for simulations. */
export interface Clock {
  /** The time in milliseconds, which never goes back. */
  now(): number;
  every(act: () => void, milliseconds: number): unknown;
  stop(timer: unknown): void;
  /** Has `act` run as the next task. */
  soon(act: () => void): void;
}

/** A mesh message (contract part 2). What is left out is added, where one is sent and where one comes in. */
export interface Message {
  type: string;
  request_id?: string;
  source_agent?: string;
  target_agent?: string;
  payload?: unknown;
  [field: string]: unknown;
}

/** What is known of a message that was sent: its `agent` has it; or it was `sent`, to a peer that does not tell more. */
export interface Receipt {
  target_peer: string;
  receipt: "agent" | "sent";
}

export interface BroadcastResult {
  delivered: string[];
  failed: { peer_id: string; code: ErrorCode }[];
}

export interface Amount {
  messages: number;
  bytes: number;
}

/** What is known of a peer. */
export interface PeerInfo {
  id: string;
  state: "connected" | "connecting" | "unreachable" | "waiting";
  /** Whether the registry lists it. */
  isOnline: boolean;
  /** When its session began, in Unix time in milliseconds. */
  since: number | null;
  /** Whether we have offered the connection or answered. */
  role: "offerer" | "answerer";
  /** Whether it speaks part 5 of the contract: receipts, and sessions that outlive connections. */
  speaksSessions: boolean;
  /** The SHA-256 fingerprint of its certificate. */
  fingerprint: string | null;
  /** Why the last attempt at a connection has failed, if none has worked since. */
  failure: string | null;
  /** Whether it has proved that it knows the secret. */
  isProven: boolean;
  /** The round trip of the last question and answer, in milliseconds. */
  roundTrip: number | null;
  /** How often its connection was replaced since the session began; nothing was lost by that. */
  restarts: number;
  /** What was accepted and is not known to have arrived. */
  queued: Amount;
  sent: Amount;
  received: Amount;
}

/** The way to a peer. `host`: no router translates between the two; `direct`: one does; `relay`: over a TURN server. */
export interface Path {
  kind: "host" | "direct" | "relay";
  local: RTCIceCandidateType | null;
  remote: RTCIceCandidateType | null;
  address: string | null;
  /** In milliseconds. */
  roundTrip: number | null;
}

/** A connection between two peers, as one of them reports it to the registry. */
export interface Edge {
  from_peer: string;
  to_peer: string;
  path?: Path["kind"];
  round_trip_ms?: number;
}

/** The contract's codes, and in the last line ours. */
export type ErrorCode =
  | "bad_message" | "unknown_peer" | "connect_failed" | "connection_lost" | "message_too_large" | "peer_stalled"
  | "untrusted_peer" | "too_many_peers" | "shutting_down"
  | "refused" | "registry" | "replaced" | "no_response" | "no_webrtc" | "bad_ticket" | "bad_secret";

export class MeshError extends Error {
  constructor(code: ErrorCode, text: string, details?: object);
  code: ErrorCode;
  peer?: string;
  requestId?: string;
  /** In bytes. */
  limit?: number;
}

/** The events of a mesh, by their names, with their details. */
export interface MeshEvents {
  /** A message has come. `isResponse`: `request` waits for it. */
  message: { peer: string; message: Message; isResponse: boolean };
  /** A peer can be reached. `resumed`: its session goes on, and nothing was lost. */
  peerconnected: { peer: string; resumed: boolean };
  /** A peer can't be reached now. What waits for it is kept for a minute. */
  peerdisconnected: { peer: string };
  /** The state of the link to the registry. `replaced`: somebody else has joined with the same key. */
  registry: { state: "connected" | "disconnected" | "refused" | "replaced"; peer_id?: string; reason?: string };
  /** The registry has told who is online. */
  peers: Record<string, never>;
  /** A connection, or an attempt at one, has ended. */
  connectionlost: { peer: string; reason: string };
  /** A peer has not proved that it knows the secret. */
  untrusted: { peer: string; reason: string };
  /** A peer has sent something that is no message. */
  unusable: { peer: string; bytes: number };
}

/** Us, as a peer of the mesh: an `EventTarget` with the events above. */
export class Mesh {
  constructor(options: MeshOptions);
  /** Our name, once the registry has told it. */
  readonly peerId: string | null;
  readonly peers: PeerInfo[];
  /**
   * Connects to the registry. Rejects if that fails; once it has worked, it is tried again whenever it ends, unless we were
   * replaced. Called again it tries at once, and takes the place back.
   */
  connect(): Promise<void>;
  /** Ends all connections; what waits is reported as `shutting_down`. */
  close(): void;
  /** Sends a message; peers that are not connected are connected first. */
  send(target: string, message: Message): Promise<Receipt>;
  /**
   * Sends a message and waits for the one with the same `request_id`, for which no other request may wait.
   * `timeout` is in milliseconds, 60,000 unless given.
   */
  request(target: string, message: Message, options?: { timeout?: number; onChunk?: (chunk: Message) => void }): Promise<Message>;
  /** Sends a message to every connected peer. */
  broadcast(message: Message): Promise<BroadcastResult>;
  path(target: string): Promise<Path | null>;
  topology(): Promise<Edge[]>;
  /** Says that the network has changed, where the browser does not: peers and registry are asked at once. */
  networkChanged(): void;
  addEventListener<Name extends keyof MeshEvents>(
    type: Name, listener: (event: CustomEvent<MeshEvents[Name]>) => void, options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Name extends keyof MeshEvents>(type: Name, listener: (event: CustomEvent<MeshEvents[Name]>) => void): void;
}

/** What a ticket of `chatixia-sidecar invite` holds. Throws a `MeshError` if it is none. */
export function readTicket(text: string): { registry: string; key: string; secret?: string };
