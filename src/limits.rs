//! The bounds on what an outsider can make the sidecar hold or do, in one place.
//!
//! What a user may set (`MAX_PEERS`, `MAX_MESSAGE_BYTES`, `QUEUE_BYTES`, ...) has its default and its
//! range in [`crate::config`]; what is here is fixed. Elsewhere are only:
//!
//! * the development registry's, in `registry/limits.rs`, since it is another program;
//! * how long the registry is waited for, in [`Times`](crate::runtime::signaling::Times), which tests
//!   shorten;
//! * figures of a protocol or a library, beside the code that follows it: what counts as silence
//!   (`mesh/liveness.rs`), when a transport's acknowledgement is a receipt (`mesh/receipts.rs`), the
//!   room that str0m is given (`mesh/webrtc.rs`).

use std::time::Duration;

/// Longest name of a peer, in bytes.
pub const PEER_ID_BYTES: usize = 256;

/// Longest `"id"` of a command, in bytes of its JSON text.
pub const COMMAND_ID_BYTES: usize = 256;

/// Longest `request_id` that an error repeats, in bytes; a longer one is left out.
pub const REQUEST_ID_BYTES: usize = 1024;

/// Characters of an outsider's text that an error or a log line quotes.
pub const QUOTED_CHARS: usize = 64;

/// What an item in a queue is taken to cost in memory beside its bytes: a message, an event or a
/// datagram, and its place.
pub const ITEM_COST_BYTES: usize = 128;

/// Room on an IPC line for what surrounds a message: envelope, peer id, command id.
pub const LINE_OVERHEAD_BYTES: usize = 64 * 1024;

/// Largest signaling frame of another sidecar, in bytes; larger ones are skipped.
pub const SIGNALING_FRAME_BYTES: usize = 256 * 1024;

/// Largest frame taken from the registry, in bytes; one that is larger ends the connection to it.
/// Some registries relay whatever they take themselves: as much as WebSocket servers do unless told
/// otherwise (uvicorn: 16 MiB). With less any peer could cut us off.
pub const REGISTRY_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Longest `conn` or `session` id of another sidecar, in bytes.
pub const WIRE_ID_BYTES: usize = 64;

/// Longest candidate line taken from a peer, in bytes.
pub const CANDIDATE_BYTES: usize = 1024;

/// Candidates kept for a connection before its description arrives, and taken for one connection in a
/// burst, those of its description included.
pub const CANDIDATES_PER_CONNECTION: usize = 64;

/// The interval at which one more is taken: a connection may last for many networks. No shorter, since
/// str0m never forgets one, some 200 bytes.
pub const CANDIDATE_INTERVAL: Duration = Duration::from_secs(10);

/// Largest control frame on `mesh-control`, in bytes.
pub const CONTROL_FRAME_BYTES: usize = 4 * 1024;

/// Signaling frames under way between the event loop and the signaling thread, each direction.
pub const SIGNALING_QUEUE_FRAMES: usize = 1024;

/// Warnings a second about unusable signaling frames; the others are counted.
pub const BAD_FRAME_WARNINGS: u32 = 3;

/// Largest answer of the registry over HTTP, in bytes.
pub const REGISTRY_RESPONSE_BYTES: u64 = 64 * 1024;

/// Addresses that are tried of the registry's host, the most that ureq keeps.
pub const HOST_ADDRESSES: usize = 16;

/// From one line in the log about why the registry cannot be reached to the next, while the reason
/// stays the same.
pub const SAME_FAILURE_LOGGED: Duration = Duration::from_secs(60);

/// From a failed try of reaching the registry to the next: first and longest wait.
pub const REGISTRY_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(250), Duration::from_secs(5));

/// From a lost connection to the next offer: first and longest wait.
pub const OFFER_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(20));

/// How long a connection has to last for the next offer after it to be as quick as the first.
pub const CONNECTION_TRUSTED_AFTER: Duration = Duration::from_secs(5);

/// Offers under names that we have not met and the registry has not listed, of all of them together,
/// that are looked at in a burst, and the interval at which one more is. Each costs 5 ms of key
/// generation, and names cost nothing.
pub const STRANGER_BURST: u32 = 128;
/// See [`STRANGER_BURST`].
pub const STRANGER_INTERVAL: Duration = Duration::from_millis(20);

/// Offers of one peer that are looked at in a burst, and the interval at which one more is.
pub const OFFER_BURST: u32 = 10;
/// See [`OFFER_BURST`].
pub const OFFER_INTERVAL: Duration = Duration::from_millis(500);

/// How long a candidate is kept that came before its description, which may be as late as an answer.
pub const EARLY_CANDIDATE_LIFETIME: Duration = Duration::from_secs(10);

/// How long an offer may go unanswered before it counts as lost. Stacks that do not trickle ask an
/// unreachable STUN server for 5 s before they answer, aiortc and werift among them.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);

/// How long one attempt at a connection may take. `CONNECT_TIMEOUT` has room for several.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the two times above are doubled as attempts fail: a machine that is too busy for the
/// first attempt would be too busy for each that follows it as soon.
pub const PATIENCE_DOUBLINGS: u32 = 3;

/// Names under `.local` that are asked for at a time.
pub const LOCAL_NAMES: usize = 64;

/// Candidates of one connection that hold a name under `.local`; the latest count.
pub const LOCAL_NAMES_PER_CONNECTION: usize = 8;

/// Largest multicast DNS packet that is read whole, in bytes (RFC 6762 section 17).
pub const MULTICAST_DNS_BYTES: usize = 9000;

/// Records of a multicast DNS packet that are looked at.
pub const MULTICAST_DNS_RECORDS: usize = 64;

/// How long a peer's offer is held while our own, which stands against it, is not answered.
pub const HELD_OFFER_TIMEOUT: Duration = Duration::from_secs(1);

/// How much longer the side waits that did not offer a lost connection before it offers itself.
pub const ANSWERER_PATIENCE: Duration = Duration::from_secs(3);

/// The least time between two questions to the registry about who is online.
pub const LIST_INTERVAL: Duration = Duration::from_millis(500);

/// How long the answer to a `register` is waited for before it is sent again.
pub const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);

/// From one list of who is online to the next, when all of them are to be connected: the registry
/// tells nobody when a peer comes.
pub const LIST_REFRESH: Duration = Duration::from_secs(60);

/// Objects and arrays within each other in a message. Agents' JSON readers have limits of their own,
/// and fail above: Python's at about 1,000.
pub const MESSAGE_NESTING: usize = 512;

/// Peers kept of the registry's list.
pub const LISTED_PEERS: usize = 4096;

/// Events other than messages that wait for an agent, by their cost in bytes (some 4,000 answers);
/// above, no requests are read, and changes of state are told in one go when the agent reads again.
pub const AGENT_EVENT_BYTES: usize = 1024 * 1024;

/// Failures kept for the next agent while none is connected.
pub const ORPHANED_FAILURES: usize = 1024;

/// Peers that broadcasts wait for, of all together; above, no requests are read.
pub const BROADCAST_DELIVERIES: usize = 16 * 1024;

/// `connect` commands that wait for one peer.
pub const WAITING_CONNECTS: usize = 64;

/// Bytes of events handed to the agent's writer at once.
pub const EVENT_BATCH_BYTES: usize = 256 * 1024;

/// Messages of all peers that wait for the agent, in bytes: each peer's window is its share.
pub const INBOX_BYTES: usize = 16 * 1024 * 1024;

/// The least window of a peer, in bytes, and what it may send before it is told its window.
pub const LEAST_WINDOW_BYTES: usize = 64 * 1024;

/// How much a peer of another make may have under way to us, in bytes: the receive buffer that str0m
/// announces, unless one message is larger.
pub const RECEIVE_BUFFER_BYTES: usize = 1024 * 1024;

/// Messages of a peer of ours that are kept until its hello gives them their numbers: more than it can
/// send of the smallest ones (11 bytes) before it is told its window.
pub const EARLY_MESSAGES: usize = LEAST_WINDOW_BYTES / 8;

/// The least time between two acknowledgements to a peer that are not owed for their bytes.
pub const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(1);

/// Bytes handed to a data channel beyond what is acknowledged: at least, and at most. One message
/// may follow when half of them are left, however large it is.
pub const CHANNEL_BYTES: (usize, usize) = (64 * 1024, 1024 * 1024);

/// Messages written to a peer of another make of which it is not known whether they arrived; at this
/// many, nothing is written until all have, but for a few that hurry the last acknowledgement.
pub const UNSETTLED_MESSAGES: usize = 16 * 1024;

/// What a connection that ends may still say before it is cut short, in datagrams.
pub const GOODBYE_OUTPUTS: usize = 256;

/// Remote addresses remembered for each peer that there may be.
pub const ROUTES_PER_PEER: usize = 32;

/// Largest `CA_FILE`, in bytes: an operating system's bundle has 250 KB.
pub const CA_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Longest line that `attach` takes from the keyboard or the sidecar, in bytes.
pub const ATTACH_LINE_BYTES: usize = 64 * 1024 * 1024;

/// Longest line in the log, in bytes: as much as a pipe takes at once without blocking (`PIPE_BUF`).
pub const LOG_LINE_BYTES: usize = 4096;

/// Lines a second in the log from one part of the program, at `info` and above.
pub const LOG_LINES_PER_SECOND: u32 = 50;

/// Kinds of line that the log counts apart, for the limit above.
pub const LOG_KEYS: usize = 64;

/// Requests in one batch from an agent's reader to the event loop.
pub const IPC_BATCH_REQUESTS: usize = 256;

/// Bytes of lines after which such a batch is full.
pub const IPC_BATCH_BYTES: usize = 256 * 1024;

/// Batches of events under way from the event loop to an agent's writer.
pub const IPC_EVENT_BATCHES: usize = 2;

/// Notices under way from the IPC threads to the event loop, which never waits for one of them.
pub const IPC_NOTICES: usize = 64;

/// Bytes after which an agent's writer writes what it has rendered.
pub const IPC_WRITE_BYTES: usize = 256 * 1024;

/// A writer's buffer that a large message has made larger than this is made smaller again.
pub const IPC_WRITER_BUFFER_BYTES: usize = 1024 * 1024;

/// Connections on the IPC socket that may wait, beside the agent, for an answer.
pub const IPC_GUESTS: usize = 4;

/// Connections whose agent is gone while its last commands still wait for the event loop. With
/// so many no further agent is accepted until one of them is through.
pub const IPC_DRAINING: usize = 4;

/// How long a second agent waits before it is told `busy`, for the first may be about to go.
pub const IPC_RECONNECT_GRACE: Duration = Duration::from_millis(200);

/// From one look at the socket file to the next, while no agent is connected.
pub const IPC_FILE_CHECK: Duration = Duration::from_millis(250);

/// Connections on the IPC socket that may wait to be accepted; more wait in `connect`.
pub const IPC_BACKLOG: i32 = 64;

/// How often the socket's path is looked at again when someone else changes it at the same moment.
pub const IPC_BIND_ATTEMPTS: usize = 16;

/// How long the IPC socket is left alone after accepting has failed, which it does when the process
/// has no file descriptors left.
pub const IPC_ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// How long a sidecar that wants to take over the IPC socket may take for it.
pub const IPC_TAKEOVER_TIME: Duration = Duration::from_secs(2);

/// How long a program that has the IPC socket may take to say what it is.
pub const IPC_PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest first line of such a program, in bytes.
pub const IPC_PROBE_LINE_BYTES: usize = 8 * 1024;

/// How long sidecars that start on the same socket at the same moment wait for each other. Anybody
/// who can read the directory could keep them waiting, and a signal waits along.
pub const IPC_START_LOCK_WAIT: Duration = Duration::from_millis(500);

/// Sets of UDP sockets: one for the connection in use and two for those that may replace it.
pub const LANES: usize = 3;

/// Room that the system is asked to keep for a UDP socket, each way, in bytes; it may give less.
pub const SOCKET_BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// Datagrams kept for a socket that the system has no room for at the moment, in bytes.
pub const UNSENT_DATAGRAM_BYTES: usize = 1024 * 1024;

/// Largest datagram taken, in bytes: any that UDP can carry.
pub const DATAGRAM_BYTES: usize = 65_536;

/// From one look at the machine's addresses to the next.
pub const ADDRESS_INTERVAL: Duration = Duration::from_secs(5);

/// What a thread takes from one source before it looks at the others: datagrams of a socket, frames of
/// the registry, requests of the agent.
pub const SOURCE_BUDGET: usize = 64;

/// Batches of requests between the agent's reader and the event loop.
pub const REQUEST_BATCHES: usize = 2;

/// How long the end waits for what was said last: the agent's last requests are read, and peers are
/// given time to take what was accepted for them.
pub const FAREWELL_TIMEOUT: Duration = Duration::from_millis(300);

/// How long the end waits after that for peers to acknowledge what was sent to them, when they take
/// longer: nothing new is sent.
pub const SETTLING_TIMEOUT: Duration = Duration::from_millis(300);

/// How long the end may take after that: the agent's last events, and the registry's goodbye.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(1000);

/// STUN and TURN servers that are used, of each kind and of each source.
pub const ICE_SERVERS: usize = 8;

/// From one question to the registry for ICE servers to the next: least and most. In between it is
/// put when half the time has passed until a login of the last answer expires.
pub const ICE_SERVERS_REFRESH: (Duration, Duration) =
    (Duration::from_secs(10), Duration::from_secs(3600));

/// The same when it was not answered, ever; after an answer the longest such wait, and the least of the
/// above the first.
pub const ICE_SERVERS_RETRY: Duration = Duration::from_secs(300);

/// By how much the clock must be off from the time that has passed, for it to have been set.
pub const CLOCK_STEP: Duration = Duration::from_secs(5);

/// From one look-up of a server's name to the next.
pub const RESOLVE_INTERVAL: Duration = Duration::from_secs(300);

/// The same when it failed: first and longest wait.
pub const RESOLVE_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(2), Duration::from_secs(300));

/// How long a look-up is waited for. The system gives up by itself, mostly after 5 s for each name server.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(15);

/// Look-ups that have not ended, of all names and of one: nothing can end them.
pub const RESOLVE_RUNNING: usize = 4 * ICE_SERVERS;
/// See [`RESOLVE_RUNNING`].
pub const RESOLVE_RUNNING_OF_NAME: usize = 2;

/// Bytes that wait to be written to a TURN server, beyond which packets are lost.
pub const TURN_STREAM_BYTES: usize = 256 * 1024;

/// Bytes that are read from a TURN server at once.
pub const TURN_STREAM_READ_BYTES: usize = 16 * 1024;

/// Longest name or password for a TURN server, in bytes (RFC 8489 section 14.3).
pub const TURN_LOGIN_BYTES: usize = 508;

/// Addresses of one STUN or TURN server that are used.
pub const ADDRESSES_PER_SERVER: usize = 4;

/// Times that a STUN request is sent, the first wait for its answer, which doubles each time.
pub const STUN_TRANSMISSIONS: u32 = 5;
/// See [`STUN_TRANSMISSIONS`].
pub const STUN_FIRST_WAIT: Duration = Duration::from_millis(500);

/// From one first question to a STUN server to the next, of all sockets together, where it is not the
/// server that a socket asks first: the least that RFC 8445 section 14.2 allows.
pub const STUN_PACE: Duration = Duration::from_millis(5);

/// From one question to a STUN server that answers to the next: least and most. Mappings of UDP live
/// for 30 s and more.
pub const STUN_REFRESH: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(25));

/// The same for one that is silent: first and longest wait.
pub const STUN_BACKOFF: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));

/// Outer addresses of one socket that peers are told, and STUN servers that it goes on asking when they
/// answer.
pub const MAPPINGS_PER_SOCKET: usize = 2;

/// How long a TURN server may take from the first word to the allocation.
pub const TURN_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);

/// From one try at a TURN server to the next one, beside it.
pub const TURN_STAGGER: Duration = Duration::from_millis(150);

/// How long a TURN server may be silent over UDP before it is tried over TCP.
pub const TURN_STREAM_DELAY: Duration = Duration::from_secs(1);

/// Ways over UDP to one TURN server, its addresses times ours, that are tried in one round. Over TCP
/// and TLS there are as many as it has addresses.
pub const TURN_DATAGRAM_WAYS: usize = 8;

/// From a round in which no TURN server worked to the next: first and longest wait.
pub const TURN_BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// An allocation that is lost sooner than this after it was made makes the next rounds wait as if no server
/// had worked.
pub const TURN_TRUSTED_AFTER: Duration = Duration::from_secs(60);

/// From an allocation to a round beside it, at least.
pub const TURN_REST: Duration = Duration::from_secs(5);

/// The least such wait when a server has refused what it was asked.
pub const TURN_REFUSED_WAIT: Duration = Duration::from_secs(120);

/// Peers' IP addresses that an allocation lets in.
pub const TURN_PERMISSIONS: usize = 512;

/// Peers' addresses that an allocation has channels for; others take more bytes a packet.
pub const TURN_CHANNELS: usize = 512;

/// Packets of all peers that wait for a permission.
pub const TURN_HELD_PACKETS: usize = 64;

/// How long a peer's address that the server does not let in, or gives no channel, is left alone.
pub const TURN_DENIED_WAIT: Duration = Duration::from_secs(60);

/// Requests of an allocation that are remembered until they are answered.
pub const TURN_REQUESTS: usize = 64;

/// From the last word of a TURN server to the question whether it is there: when nothing was said to
/// it, and when something was.
pub const TURN_KEEPALIVE: Duration = Duration::from_secs(20);
/// See [`TURN_KEEPALIVE`].
pub const TURN_UNANSWERED: Duration = Duration::from_secs(2);

/// Times that it is asked; and after how many another server is looked for.
pub const TURN_PROBES: usize = 4;
/// See [`TURN_PROBES`].
pub const TURN_WEAK_AFTER: usize = 2;

/// How long an allocation that was replaced is kept after it last carried data.
pub const TURN_IDLE: Duration = Duration::from_secs(60);

/// Allocations that were replaced and still carry data.
pub const TURN_REPLACED: usize = 4;

/// How long before its login expires an allocation is replaced; half the time that it has left when that
/// is less.
pub const TURN_RENEWAL: Duration = Duration::from_secs(600);

/// When `doctor` says what it has found, at the latest.
pub const DOCTOR_TIME: Duration = Duration::from_secs(10);

/// Of that: how long the registry may take to be connected to, and then for each answer.
pub const DOCTOR_REGISTRY_TIME: (Duration, Duration) =
    (Duration::from_millis(2500), Duration::from_millis(3500));

/// Of that: by when the names of servers must be found, those that the registry names included.
pub const DOCTOR_NAMES_TIME: Duration = Duration::from_millis(4500);

/// Of that: how long the STUN servers may take together, and a TURN server for an allocation.
pub const DOCTOR_SERVER_TIME: Duration = Duration::from_millis(3500);

/// After that: how long a packet that it is to relay to itself is waited for, and from one such packet to
/// the next.
pub const DOCTOR_RELAY_TIME: (Duration, Duration) =
    (Duration::from_millis(1500), Duration::from_millis(250));

/// After that: how long it may take to take its address back.
pub const DOCTOR_FAREWELL: Duration = Duration::from_millis(300);

/// By how much the machine's clock may differ from the registry's without a warning.
pub const DOCTOR_CLOCK_DIFFERENCE: Duration = Duration::from_secs(5);

/// Times that a STUN server is asked to answer from elsewhere, which most routers keep out.
pub const DOCTOR_ELSEWHERE_TRANSMISSIONS: u32 = 2;

/// Addresses that `doctor` names in one line.
pub const DOCTOR_LISTED: usize = 16;

/// How long `health` waits for each step of a registry's answer, and how much of it it reads.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);
/// See [`HEALTH_TIMEOUT`].
pub const HEALTH_ANSWER_BYTES: u64 = 4 * 1024;

/// How long the service manager may keep the event loop waiting for room in its socket.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_millis(100);

/// The least time from one sign of life for the service manager to the next.
pub const WATCHDOG_INTERVAL: Duration = Duration::from_millis(10);

/// How long an allocation is waited for to end.
pub const TURN_FAREWELL: Duration = Duration::from_secs(2);
