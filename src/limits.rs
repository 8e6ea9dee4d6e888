//! Limits on what an outsider can make the sidecar hold or do, in one place.
//!
//! Settings that a user may change (`MAX_PEERS`, `MAX_MESSAGE_BYTES`, `QUEUE_BYTES`, ...) have their
//! defaults and ranges in [`crate::config`]; the values here are fixed. Only these limits are elsewhere:
//!
//! * the development registry's, in `registry/limits.rs`, since it is another program;
//! * how long the registry is waited for, in [`Times`](crate::runtime::signaling::Times), which tests
//!   shorten;
//! * figures of a protocol or a library, beside the code that follows it: what counts as silence
//!   (`mesh/connection/liveness.rs`), when a transport's acknowledgement is a receipt
//!   (`mesh/connection/receipts.rs`), the room that str0m is given (`mesh/link/webrtc.rs`).

use std::time::Duration;

/// Longest name of a peer, in bytes; a longer one is not accepted as a name.
pub const PEER_ID_BYTES: usize = 256;

/// Longest `"id"` of a command, in bytes of its JSON text; with a longer one the command is rejected.
pub const COMMAND_ID_BYTES: usize = 256;

/// Longest `request_id` that an error repeats, in bytes; a longer one is left out.
pub const REQUEST_ID_BYTES: usize = 1024;

/// Characters of an outsider's text that an error or a log line quotes; the rest is cut off.
pub const QUOTED_CHARS: usize = 64;

/// Assumed memory cost of an item in a queue (message, event or datagram) beside its own bytes, in bytes.
pub const ITEM_COST_BYTES: usize = 128;

/// Room on an IPC line for what surrounds a message (envelope, peer id, command id), in bytes. A line may
/// be `MAX_MESSAGE_BYTES` plus this long; a longer one is skipped and answered with `line_too_long`.
pub const LINE_OVERHEAD_BYTES: usize = 64 * 1024;

/// Largest signaling frame of another sidecar, in bytes; a larger one is skipped.
pub const SIGNALING_FRAME_BYTES: usize = 256 * 1024;

/// Largest frame taken from the registry, in bytes; a larger one ends the connection to it. Some
/// registries relay whatever they accept themselves, which is as much as WebSocket servers accept unless
/// told otherwise (uvicorn: 16 MiB). With a smaller limit any peer could cut us off.
pub const REGISTRY_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Longest `conn` or `session` id of another sidecar, in bytes; a longer one counts as absent.
pub const WIRE_ID_BYTES: usize = 64;

/// Largest session description of another sidecar, in bytes; the frame with a larger one is skipped. Reading one
/// takes longer than its size says. Those of browsers have some KiB.
pub const DESCRIPTION_BYTES: usize = 32 * 1024;

/// Longest candidate line taken from a peer, in bytes; the frame with a longer one is skipped.
pub const CANDIDATE_BYTES: usize = 1024;

/// Candidates of a peer that are kept until their description arrives, and candidates that one connection
/// takes in a burst, those in its description included. Further ones are ignored.
pub const CANDIDATES_PER_CONNECTION: usize = 64;

/// Interval at which a connection takes one more candidate after the burst: it may outlast many networks.
/// No shorter, since str0m never forgets a candidate, some 200 bytes.
pub const CANDIDATE_INTERVAL: Duration = Duration::from_secs(10);

/// Largest control frame on `mesh-control`, in bytes; a larger one is ignored. A session description with
/// many candidates has 4 KiB.
pub const CONTROL_FRAME_BYTES: usize = 16 * 1024;

/// Peers that are asked at a time to pass a signal on to one that can't be reached otherwise.
pub const INTRODUCERS: usize = 3;
/// Interval at which further peers are asked to pass on an offer that is not answered.
pub const INTRODUCTION_INTERVAL: Duration = Duration::from_secs(1);

/// Signals that a peer brings on `mesh-control`, its own and those of others, that are looked at in a burst,
/// and the interval at which one more is; further ones are dropped.
pub const PASSED_SIGNALS: (u32, Duration) = (256, Duration::from_millis(50));

/// Signals that are passed on for a peer in a burst, and the interval at which one more is; further ones are
/// dropped.
pub const SIGNALS_TO_PASS: (u32, Duration) = (32, Duration::from_millis(500));

/// Offers of a peer that are remembered, to know them when they come again on another way.
pub const REMEMBERED_OFFERS: usize = 8;

/// Longest wait until a connection is offered again to a peer whose session is to go on.
pub const RECOVERY_BACKOFF: Duration = Duration::from_secs(1);

/// After this long an attempt at a connection that has found no path looks for one anew: with a peer whose
/// round trip is known, beside two of them, and with others.
pub const ATTEMPT_SEARCH_AFTER: (Duration, Duration) =
    (Duration::from_secs(2), Duration::from_secs(6));

/// Signaling frames queued between the event loop and the signaling thread, in each direction.
pub const SIGNALING_QUEUE_FRAMES: usize = 1024;

/// Warnings a second about unusable signaling frames; further ones are only counted.
pub const BAD_FRAME_WARNINGS: u32 = 3;

/// Largest body of the registry's answers over HTTP, in bytes; a larger one is an error.
pub const REGISTRY_RESPONSE_BYTES: u64 = 64 * 1024;

/// Entries of `NO_PROXY` that count; further ones are left out.
pub const PROXY_EXEMPTIONS: usize = 1024;
/// Largest answer of an HTTP proxy, in bytes; a larger one is an error.
pub const PROXY_ANSWER_BYTES: usize = 16 * 1024;

/// Records of a name server's answer that are read; further ones are left out.
pub const DNS_RECORDS: usize = 64;
/// Largest answer of a name server, in bytes; a larger one, over TCP, is not read.
pub const DNS_ANSWER_BYTES: usize = 8 * 1024;
/// Largest `/etc/resolv.conf`, in bytes; what is beyond is left out.
pub const RESOLV_CONF_BYTES: u64 = 64 * 1024;
/// Name servers, and domains to search, that count; further ones are left out (resolv.conf(5)).
pub const NAME_SERVERS: usize = 3;
/// See [`NAME_SERVERS`].
pub const SEARCHED_DOMAINS: usize = 6;
/// How long a name server may take to answer, and then the other family once one has been answered.
pub const NAME_SERVER_TIME: (Duration, Duration) =
    (Duration::from_millis(1500), Duration::from_millis(300));
/// How long name servers are asked by ourselves for one name, all together.
pub const OWN_LOOK_UP_TIME: Duration = Duration::from_secs(8);
/// How long the system may look up a name before we ask ourselves.
pub const SYSTEM_LOOK_UP_PATIENCE: Duration = Duration::from_secs(1);
/// Look-ups by the system that may be running; at this many we ask ourselves only. Nothing can end one.
pub const SYSTEM_LOOK_UPS: usize = 64;

/// Addresses of the registry's host that are tried; further ones are not used.
pub const HOST_ADDRESSES: usize = 16;

/// Pause between the first tries of two addresses of the registry (RFC 8305 section 8).
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);
/// Interval at which an address of the registry is tried again while nothing has answered.
pub const DIAL_AGAIN: Duration = Duration::from_secs(1);
/// Tries at addresses of the registry that run side by side; at this many no further one is begun.
pub const DIAL_TRIES: usize = 16;

/// Look-ups of the registry's name that may be running; at this many no further one is begun. Nothing can
/// end a look-up.
pub const REGISTRY_LOOK_UPS: usize = 8;
/// How long a look-up of the registry's name is awaited before the addresses that last worked are tried.
pub const LOOK_UP_PATIENCE: Duration = Duration::from_secs(1);

/// Longest wait that a busy registry may ask for (`Retry-After`); a longer one is cut.
pub const RETRY_AFTER: Duration = Duration::from_secs(300);

/// Reasons of one outage of the registry that are remembered so as not to be told again; at this many the one
/// that was told longest ago is forgotten.
pub const OUTAGE_REASONS: usize = 8;
/// Interval at which the log repeats why the registry cannot be reached, while the reason stays the same.
pub const SAME_FAILURE_LOGGED: Duration = Duration::from_secs(60);

/// Wait from a failed try to reach the registry to the next one: the first and the longest. With a try
/// that succeeds it is less than 2 s.
pub const REGISTRY_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(250), Duration::from_millis(1750));
/// The same when the registry has refused the key or token, which the next try won't change.
pub const REGISTRY_REFUSED_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(10));

/// Tries to reach the registry that are made at once because the network has changed, and the interval of
/// further ones; in between the wait goes on.
pub const REGISTRY_TRIES_AT_ONCE: (u32, Duration) = (4, Duration::from_secs(1));

/// How long the machine must have slept for the connection to the registry to be replaced unasked.
pub const REGISTRY_SLEEP: Duration = Duration::from_secs(30);

/// How often within what time the registry closes connections that lasted no longer than the third value, with
/// no failed try in between, until we take it that another sidecar uses our name.
pub const NAME_CONTEST: (usize, Duration, Duration) =
    (5, Duration::from_secs(60), Duration::from_secs(10));

/// Wait until a name is tried again that another sidecar uses: the first and the longest, less up to half of it
/// at random. Each try takes the other one's place.
pub const NAME_TAKEN_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(300), Duration::from_secs(3600));
/// The same when the registry has not said so, and it is only a guess.
pub const NAME_GUESSED_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(10), Duration::from_secs(3600));
/// The same when our place was taken for the first time within a minute: `doctor` does so for a moment.
pub const NAME_TAKEN_ONCE: Duration = Duration::from_secs(4);

/// Longest wait until another connection to a registry that fell silent is made; the wait is random.
pub const REGISTRY_SILENT_WAIT: Duration = Duration::from_millis(500);

/// Wait from a lost connection to the next offer: the first and the longest.
pub const OFFER_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(20));

/// How long a connection has to last for the offer after it to come as quickly as the first.
pub const CONNECTION_TRUSTED_AFTER: Duration = Duration::from_secs(5);

/// Burst of offers that are looked at from strangers, all of them together: names that we have not met and
/// the registry has not listed. One more is looked at every [`STRANGER_INTERVAL`]. An offer costs 5 ms of
/// key generation, a new name nothing.
pub const STRANGER_BURST: u32 = 128;
/// Interval at which one more stranger's offer is looked at; see [`STRANGER_BURST`].
pub const STRANGER_INTERVAL: Duration = Duration::from_millis(20);

/// Burst of offers of one peer that are looked at; after it one more every [`OFFER_INTERVAL`].
pub const OFFER_BURST: u32 = 10;
/// Interval at which one more offer of a peer is looked at; see [`OFFER_BURST`].
pub const OFFER_INTERVAL: Duration = Duration::from_millis(500);

/// How long a candidate that came before its description is kept; the description may come as late as an
/// answer.
pub const EARLY_CANDIDATE_LIFETIME: Duration = Duration::from_secs(10);

/// How long an offer may go unanswered before it counts as lost. Stacks that do not trickle, aiortc and
/// werift among them, ask an unreachable STUN server for 5 s before they answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);

/// How long one attempt at a connection may take; after that it is given up. `CONNECT_TIMEOUT` has room
/// for several.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The same while the peer is heard, because its path may be slow: a round trip may take seconds.
pub const SLOW_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(45);

/// Round trips that connecting takes, about: two of signals through the registry, and two each of ICE, DTLS, SCTP
/// and the channels. Attempts, and `CONNECT_TIMEOUT`, have the time for them on top.
pub const ROUND_TRIPS_TO_CONNECT: u32 = 12;
/// Round trips until an offer is answered: the peer may be as far from the registry as we are.
pub const ROUND_TRIPS_TO_ANSWER: u32 = 2;
/// Longest round trip that counts for that; a longer one may be no path at all.
pub const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(5);
/// How often [`ANSWER_TIMEOUT`] and [`ATTEMPT_TIMEOUT`] are doubled as attempts fail: a machine that is
/// too busy for the first attempt would be too busy for each that follows it as soon.
pub const PATIENCE_DOUBLINGS: u32 = 3;

/// Pairs of addresses of one connection that are measured; with a further one that is forgotten which has answered
/// least lately. The ICE agent keeps 100.
pub const MEASURED_PAIRS: usize = 128;
/// Unanswered checks of one pair that are remembered; with a further one the oldest counts as lost.
pub const MEASURED_CHECKS: usize = 16;
/// How long after each new path the pairs of addresses are compared, to move to one that is clearly faster.
pub const PATH_COMPARISON: Duration = Duration::from_secs(10);
/// Moves of a connection to a faster path, and the interval of further ones.
pub const PATH_MOVES: (u32, Duration) = (3, Duration::from_secs(600));
/// Names under `.local` that are asked for at a time; a further one is not asked for.
pub const LOCAL_NAMES: usize = 64;

/// Candidates of one connection that wait for a name under `.local`; with a further one the oldest is
/// dropped.
pub const LOCAL_NAMES_PER_CONNECTION: usize = 8;

/// Largest multicast DNS packet that is read whole, in bytes (RFC 6762 section 17); of a larger one the
/// rest is cut off.
pub const MULTICAST_DNS_BYTES: usize = 9000;

/// Records of a multicast DNS packet that are looked at, and questions that are skipped before them.
pub const MULTICAST_DNS_RECORDS: usize = 64;

/// How long a peer's offer is held while our own crossing offer stands against it unanswered; then the
/// peer's offer is answered after all.
pub const HELD_OFFER_TIMEOUT: Duration = Duration::from_secs(1);

/// Extra wait before the side that did not offer a lost connection offers one itself.
pub const ANSWERER_PATIENCE: Duration = Duration::from_secs(3);
/// The same once the peer can't be reached.
pub const ANSWERER_RECOVERY_PATIENCE: Duration = Duration::from_millis(500);

/// Least time between two questions to the registry about who is online.
pub const LIST_INTERVAL: Duration = Duration::from_millis(500);

/// How long the answer to a `register` is awaited before it is sent again.
pub const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval at which the registry is asked who is online when all peers are to be connected: it tells
/// nobody when a peer comes.
pub const LIST_REFRESH: Duration = Duration::from_secs(60);

/// Deepest nesting of objects and arrays in a message; a deeper one is refused. Agents' JSON readers have
/// limits of their own and fail above them, Python's at about 1,000.
pub const MESSAGE_NESTING: usize = 512;

/// How long no message may have gone to or from a peer before it gives its place up to one that offers,
/// where `MAX_PEERS` is reached in lazy mode. For a peer that our own agent wants any gives way.
pub const ROOM_IDLE: Duration = Duration::from_secs(10);

/// Peers kept of the registry's list; further ones are left out.
pub const LISTED_PEERS: usize = 4096;

/// Cost in bytes of the events other than messages that wait for an agent (some 4,000 answers). At this
/// limit no more requests are read, and changes of state are told in one go when the agent reads again.
pub const AGENT_EVENT_BYTES: usize = 1024 * 1024;

/// Failures kept for the next agent while none is connected; further ones are only counted.
pub const ORPHANED_FAILURES: usize = 1024;

/// Peers that all broadcasts with an id together wait for; at this limit no more requests are read.
pub const BROADCAST_DELIVERIES: usize = 16 * 1024;

/// `connect` commands that wait for one peer; a further one fails with `connect_failed`.
pub const WAITING_CONNECTS: usize = 64;

/// Bytes of events handed to the agent's writer in one batch.
pub const EVENT_BATCH_BYTES: usize = 256 * 1024;

/// Bytes of all peers' messages that wait for the agent; each peer's window is an equal share of it.
pub const INBOX_BYTES: usize = 16 * 1024 * 1024;

/// Smallest window of a peer, in bytes, and what a peer may send before it is told its window.
pub const LEAST_WINDOW_BYTES: usize = 64 * 1024;

/// Bytes that a peer of another make may have under way to us: the receive buffer that str0m announces,
/// unless the largest message is larger.
pub const RECEIVE_BUFFER_BYTES: usize = 1024 * 1024;

/// Messages of a peer of ours that are kept until its hello gives them their numbers; with more the
/// connection fails. A peer that keeps the rules can send fewer before it is told its window, even of the
/// smallest (11 bytes).
pub const EARLY_MESSAGES: usize = LEAST_WINDOW_BYTES / 8;

/// Least time between two acknowledgements to a peer, except those that are due because of the bytes
/// taken.
pub const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(1);

/// Bytes handed to a data channel beyond what is acknowledged: the least and the most, depending on the
/// round trip. One message of any size may follow when half of them are left.
pub const CHANNEL_BYTES: (usize, usize) = (64 * 1024, 1024 * 1024);

/// The most that the least of [`CHANNEL_BYTES`] becomes where the peer's UDP sockets have buffers for it.
pub const BUFFERED_CHANNEL_BYTES: usize = 256 * 1024;

/// How much of our data may wait in the queue of a slow line, in the time that the line takes for it, beside
/// one message. Whatever else is sent waits behind it.
pub const LINE_QUEUE: Duration = Duration::from_millis(500);

/// Messages written to a peer of another make that are not known to have arrived. At this many nothing
/// more is written until all have arrived, except for a few that hurry the last acknowledgement.
pub const UNSETTLED_MESSAGES: usize = 16 * 1024;

/// Outputs that a connection that ends may still produce, in datagrams; then it is cut short.
pub const GOODBYE_OUTPUTS: usize = 256;

/// Remote addresses remembered for each of the `MAX_PEERS` peers; beyond their sum no new one is
/// remembered.
pub const ROUTES_PER_PEER: usize = 32;

/// Largest `CA_FILE`, in bytes; a larger one is refused. An operating system's bundle has 250 KB.
pub const CA_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Files of a directory of authorities that are read, up to [`CA_FILE_BYTES`] together; the rest is left out.
pub const CA_DIRECTORY_FILES: usize = 2048;

/// Longest line that `attach` takes from the keyboard or the sidecar, in bytes.
pub const ATTACH_LINE_BYTES: usize = 64 * 1024 * 1024;

/// Longest line in the log, in bytes: as much as a pipe takes at once without blocking (`PIPE_BUF`). The
/// message of a longer one is cut.
pub const LOG_LINE_BYTES: usize = 4096;

/// Lines a second that one part of the program may log at one level, for each level from `info` up.
/// Further ones are left out and counted.
pub const LOG_LINES_PER_SECOND: u32 = 50;

/// Pairs of level and part of the program that the log counts apart for [`LOG_LINES_PER_SECOND`]; further
/// ones share one count.
pub const LOG_KEYS: usize = 64;

/// Requests after which a batch from an agent's reader to the event loop is full.
pub const IPC_BATCH_REQUESTS: usize = 256;

/// Bytes of lines after which a batch of requests is full.
pub const IPC_BATCH_BYTES: usize = 256 * 1024;

/// Batches of events queued from the event loop to an agent's writer.
pub const IPC_EVENT_BATCHES: usize = 2;

/// Notices queued from the IPC threads to the event loop, which never waits for one of these threads.
pub const IPC_NOTICES: usize = 64;

/// Rendered bytes after which an agent's writer writes them out.
pub const IPC_WRITE_BYTES: usize = 256 * 1024;

/// Bytes of events that the event loop writes to the agent's socket itself. Copying more takes longer than
/// waking the writer.
pub const IPC_DIRECT_BYTES: usize = 16 * 1024;

/// Interval at which a writer tries whether the agent's socket has room, beside being told. Linux tells it only when
/// three quarters of the socket's buffer are free, which takes an agent that reads 8 KB/s some 20 s. By then its
/// peers would count it as stalled.
pub const IPC_ROOM_CHECK: Duration = Duration::from_millis(250);

/// Size in bytes above which a writer's buffer, grown by a large message, is shrunk again.
pub const IPC_WRITER_BUFFER_BYTES: usize = 1024 * 1024;

/// Connections on the IPC socket, beside the agent's, that may wait for an answer; a further one is told
/// `busy` at once.
pub const IPC_GUESTS: usize = 4;

/// Connections whose agent is gone while its last commands still wait for the event loop. At this many no
/// further agent is accepted until one of them is through.
pub const IPC_DRAINING: usize = 4;

/// How long a second agent waits before it is told `busy`: the first may be about to go.
pub const IPC_RECONNECT_GRACE: Duration = Duration::from_millis(200);

/// Interval at which the socket file is checked while no agent is connected.
pub const IPC_FILE_CHECK: Duration = Duration::from_millis(250);

/// Interval at which the socket file is checked while an agent is connected.
pub const IPC_SERVED_FILE_CHECK: Duration = Duration::from_secs(5);

/// Length of the IPC socket's queue of connections that are not accepted yet; more wait in `connect`.
pub const IPC_BACKLOG: i32 = 64;

/// How often binding the socket's path is tried when someone else changes it at the same moment.
pub const IPC_BIND_ATTEMPTS: usize = 16;

/// How long no connection is accepted on the IPC socket after accepting has failed, as it does when the
/// process has no file descriptors left.
pub const IPC_ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// How long a sidecar that wants to take over the IPC socket may take to do so.
pub const IPC_TAKEOVER_TIME: Duration = Duration::from_secs(2);

/// How long a program that holds the IPC socket may take to say what it is; then it counts as a foreign
/// one.
pub const IPC_PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest first line of a program that holds the IPC socket, in bytes; with a longer one it counts as a
/// foreign one.
pub const IPC_PROBE_LINE_BYTES: usize = 8 * 1024;

/// How long sidecars that start on the same socket at the same moment wait for each other. The wait is
/// short because anybody who can read the directory could hold the lock, and a signal is not heard
/// meanwhile.
pub const IPC_START_LOCK_WAIT: Duration = Duration::from_millis(500);

/// Sets of UDP sockets: one for the connection in use and two for those that may replace it.
pub const LANES: usize = 3;

/// Addresses of this machine that are used; of more, those are left out that are preferred least. With a
/// relay on both sides, [`REFLEXIVE_ADDRESSES`] and all of one family there are (7 + 1) * (7 + 4 + 1) pairs;
/// str0m's ICE agent keeps 100 and drops those of the relays first.
pub const LOCAL_ADDRESSES: usize = 7;

/// Outer addresses that peers are told of one lane's sockets; those of the sockets preferred least are left
/// out.
pub const REFLEXIVE_ADDRESSES: usize = 4;

/// Buffer that the system is asked to keep for a UDP socket in each direction, in bytes; it may give less.
pub const SOCKET_BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of datagrams kept for a socket while the system has no room for them; further ones are dropped.
pub const UNSENT_DATAGRAM_BYTES: usize = 1024 * 1024;

/// Buffer for one received datagram, in bytes: any that UDP can carry fits.
pub const DATAGRAM_BYTES: usize = 65_536;

/// How long an address outside that was told as new is not told again: all sockets learn it one by one.
pub const MOVE_TOLD_FOR: Duration = Duration::from_secs(10);

/// Least time between two rounds of questions to STUN and TURN servers because peers have fallen silent.
pub const DOUBT_INTERVAL: Duration = Duration::from_secs(3);

/// Interval at which it is looked whether the process that started us is still there, until the first agent
/// comes.
pub const PARENT_CHECK: Duration = Duration::from_secs(1);

/// Interval at which the machine's addresses are looked up.
pub const ADDRESS_INTERVAL: Duration = Duration::from_secs(5);

/// How long an address may be there without letting a socket be bound to it, before that is said.
pub const TENTATIVE_ADDRESS: Duration = Duration::from_secs(8);

/// Size of packets, in bytes of UDP payload. Those with data are 4 bytes smaller. So they fit into the 1,280 bytes that
/// every path of IPv6 takes, also through a channel of a TURN server, and need no discovery of what a path takes.
pub const FULL_PACKET_BYTES: usize = 1232;

/// How long nothing of what fills packets may be acknowledged, while the path answers checks, before the
/// connection is replaced by one with smaller packets. With the replacement it is less than
/// `SEND_STALL_SECONDS`.
pub const SWALLOWED_AFTER: Duration = Duration::from_secs(2);
/// How often a packet that fills more than a small one must have been sent in that time. One that is lost by
/// chance is hardly lost so often.
pub const SWALLOWED_SENDINGS: u32 = 3;
/// How far apart two of these are at least. What is sent together may be lost together.
pub const SWALLOWED_SENDINGS_APART: Duration = Duration::from_millis(100);
/// Size of the packets then: the least that str0m makes.
pub const SMALL_PACKET_BYTES: usize = 576;

/// Wait from the system's notice that the network has changed to a look at it: the rest of a burst comes
/// meanwhile.
pub const NETWORK_SETTLING: Duration = Duration::from_millis(30);
/// Looks at the network after notices that come at once, and the interval of further ones.
pub const NETWORK_LOOKS: (u32, Duration) = (8, Duration::from_millis(200));
/// Changes of routes that are acted on at once, and the interval of further ones; a change that comes
/// sooner waits.
pub const ROUTE_CHANGES: (u32, Duration) = (4, Duration::from_secs(2));
/// Largest notice of the system that is read, in bytes; the rest is cut off. The kernel writes at most a page
/// or 8 KiB into one.
pub const NETLINK_BYTES: usize = 8 * 1024;

/// DTLS records that a connection is given before its outputs are taken. The DTLS stack holds 30 datagrams, and one
/// more ends the connection.
pub const BURST_RECORDS: usize = 8;

/// Items that a thread takes from one source before it looks at the others: datagrams of a socket, frames
/// of the registry, requests of the agent.
pub const SOURCE_BUDGET: usize = 64;

/// Batches of requests queued from the agent's reader to the event loop; at this many the reader waits.
pub const REQUEST_BATCHES: usize = 2;

/// First step of the shutdown: how long the agent's last requests are read and peers are given time to
/// take what was accepted for them.
pub const FAREWELL_TIMEOUT: Duration = Duration::from_millis(300);

/// Second step of the shutdown: how long peers that need longer may still acknowledge what was sent to
/// them. Nothing new is sent.
pub const SETTLING_TIMEOUT: Duration = Duration::from_millis(300);

/// Last step of the shutdown: how long the agent's last events and the goodbye to the registry may take.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(1000);

/// STUN and TURN servers that are used, of each kind and of each source. More in a setting are an error;
/// more from the registry are left out.
pub const ICE_SERVERS: usize = 8;

/// Wait from one question to the registry for ICE servers to the next: the least and the most. In between,
/// the question is repeated when half the time until the first login of the last answer expires has
/// passed.
pub const ICE_SERVERS_REFRESH: (Duration, Duration) =
    (Duration::from_secs(10), Duration::from_secs(3600));

/// The same wait after a question that went unanswered. As long as the registry has never answered it is
/// always this long; after an answer it grows from the least [`ICE_SERVERS_REFRESH`] up to this.
pub const ICE_SERVERS_RETRY: Duration = Duration::from_secs(300);

/// Questions to the registry for ICE servers that may be running: one that was asked on a network that is
/// gone may take long to end. At this many no further one is begun.
pub const ICE_SERVERS_RUNNING: usize = 3;

/// How much later than it was meant to the event loop may wake; if it is more, the machine slept or the
/// process was stopped, and that time does not count.
pub const UNLIVED_AFTER: Duration = Duration::from_secs(2);

/// Difference between the clock and the time that has passed at which the clock counts as having been set.
pub const CLOCK_STEP: Duration = Duration::from_secs(5);

/// Interval at which a server's name is looked up again.
pub const RESOLVE_INTERVAL: Duration = Duration::from_secs(300);

/// Wait until a failed look-up of a server's name is repeated: the first and the longest.
pub const RESOLVE_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(2), Duration::from_secs(300));

/// How long a look-up is awaited before it counts as failed. The system gives up by itself, mostly
/// after 5 s for each name server.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(15);

/// Look-ups of all names that may be running; at this many no further one is begun. Nothing can end a
/// look-up.
pub const RESOLVE_RUNNING: usize = 4 * ICE_SERVERS;
/// Look-ups of one name that may be running; see [`RESOLVE_RUNNING`].
pub const RESOLVE_RUNNING_OF_NAME: usize = 2;

/// Bytes that wait to be written to a TURN server on a stream. Beyond this packets are dropped; requests
/// are dropped at twice as many.
pub const TURN_STREAM_BYTES: usize = 256 * 1024;

/// Bytes that are read at once from a TURN server on a stream.
pub const TURN_STREAM_READ_BYTES: usize = 16 * 1024;

/// Longest name or password for a TURN server, in bytes (RFC 8489 section 14.3).
pub const TURN_LOGIN_BYTES: usize = 508;

/// Addresses of one STUN or TURN server that are used; further ones are left out.
pub const ADDRESSES_PER_SERVER: usize = 4;

/// How often a STUN request is sent before it counts as unanswered.
pub const STUN_TRANSMISSIONS: u32 = 5;
/// Wait for the answer to the first transmission of a STUN request; it doubles with each.
pub const STUN_FIRST_WAIT: Duration = Duration::from_millis(500);

/// Least time between the first requests of all sockets to STUN servers, except to the server that a
/// socket asks first: the least that RFC 8445 section 14.2 allows.
pub const STUN_PACE: Duration = Duration::from_millis(5);

/// Interval at which a STUN server that answers is asked again: the least and the most. UDP mappings live
/// for 30 s and more.
pub const STUN_REFRESH: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(25));

/// Wait until a STUN server that is silent is asked again: the first and the longest.
pub const STUN_BACKOFF: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));

/// Outer addresses of one socket that peers are told, and STUN servers that answer and are asked again.
pub const MAPPINGS_PER_SOCKET: usize = 2;

/// How long a TURN server may take from the first request to the allocation; then the attempt has failed.
pub const TURN_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);

/// Pause between the starts of two tries at TURN servers, which then run side by side.
pub const TURN_STAGGER: Duration = Duration::from_millis(150);

/// Head start of UDP: how long a TURN server may be silent over UDP before it is tried over TCP.
pub const TURN_STREAM_DELAY: Duration = Duration::from_secs(1);

/// Ways over UDP to one TURN server (its addresses times ours) that are tried in one round; further ones
/// are not tried. Over TCP and TLS there are as many as it has addresses.
pub const TURN_DATAGRAM_WAYS: usize = 8;

/// Wait from a round in which no TURN server worked to the next: the first and the longest.
pub const TURN_BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// How long an allocation has to last to count as a success. After one that is lost sooner, the next
/// rounds wait as if no server had worked.
pub const TURN_TRUSTED_AFTER: Duration = Duration::from_secs(60);

/// Least time from a new allocation to a round beside it.
pub const TURN_REST: Duration = Duration::from_secs(5);

/// Longest wait for the next round that ends when peers have fallen silent.
pub const TURN_DOUBT_WAIT: Duration = Duration::from_secs(60);

/// Least time to the next round after one in which a server refused what it was asked, and between the
/// starts of rounds beside an allocation that bring no better one.
pub const TURN_REFUSED_WAIT: Duration = Duration::from_secs(120);

/// Peers' IP addresses that an allocation has permissions for; packets to further ones are dropped.
pub const TURN_PERMISSIONS: usize = 512;

/// Peers' addresses that an allocation has channels for; packets to further ones are a few bytes longer.
pub const TURN_CHANNELS: usize = 512;

/// Packets, of all peers together, that wait for a permission; with a further one the oldest is dropped.
pub const TURN_HELD_PACKETS: usize = 64;

/// How long a peer's address that the server refuses a permission or a channel is not asked for again.
pub const TURN_DENIED_WAIT: Duration = Duration::from_secs(60);

/// Requests of an allocation that are remembered until they are answered; with a further one the oldest is
/// forgotten.
pub const TURN_REQUESTS: usize = 64;

/// How long a TURN server may have been silent, when no request to it is unanswered, before it is asked
/// for a sign of life.
pub const TURN_KEEPALIVE: Duration = Duration::from_secs(20);
/// How long a request to a TURN server may go unanswered before the server is asked for a sign of life.
pub const TURN_UNANSWERED: Duration = Duration::from_secs(2);

/// How often a silent TURN server is asked for a sign of life before it counts as dead.
pub const TURN_PROBES: usize = 4;
/// Unanswered requests for a sign of life after which another server is looked for.
pub const TURN_WEAK_AFTER: usize = 2;

/// How long an allocation that was replaced is kept after it last carried data; then it is given back.
pub const TURN_IDLE: Duration = Duration::from_secs(60);

/// The same time for an allocation that was replaced by one on a better way, such as UDP in place of TCP.
/// One that never carried data is given back at once.
pub const TURN_OUTDONE_IDLE: Duration = Duration::from_secs(3);

/// Replaced allocations that are kept because they still carry data; of more the oldest is given back.
pub const TURN_REPLACED: usize = 4;

/// How long before its login expires an allocation is replaced; half of the login's remaining time if that
/// is less.
pub const TURN_RENEWAL: Duration = Duration::from_secs(600);

/// How long `doctor` may take to report what it has found.
pub const DOCTOR_TIME: Duration = Duration::from_secs(10);

/// Part of [`DOCTOR_TIME`]: how long connecting to the registry may take, and then each of its answers.
pub const DOCTOR_REGISTRY_TIME: (Duration, Duration) =
    (Duration::from_millis(2500), Duration::from_millis(3500));

/// Part of [`DOCTOR_TIME`]: the time from the start by which the names of servers must be resolved, those
/// that the registry names included.
pub const DOCTOR_NAMES_TIME: Duration = Duration::from_millis(4500);

/// Part of [`DOCTOR_TIME`]: how long the STUN servers may take together, and a TURN server for an
/// allocation.
pub const DOCTOR_SERVER_TIME: Duration = Duration::from_millis(3500);

/// Part of [`DOCTOR_TIME`], after the allocation: how long a packet that the TURN server relays to itself
/// is awaited, and the interval between such packets.
pub const DOCTOR_RELAY_TIME: (Duration, Duration) =
    (Duration::from_millis(1500), Duration::from_millis(250));

/// Part of [`DOCTOR_TIME`], at the end: how long giving the relayed address back may take.
pub const DOCTOR_FAREWELL: Duration = Duration::from_millis(300);

/// Difference between the machine's clock and the registry's up to which `doctor` does not warn.
pub const DOCTOR_CLOCK_DIFFERENCE: Duration = Duration::from_secs(5);

/// How often a STUN server is asked to answer from another address, which most routers keep out.
pub const DOCTOR_ELSEWHERE_TRANSMISSIONS: u32 = 2;

/// Addresses that `doctor` names in one line; further ones are counted.
pub const DOCTOR_LISTED: usize = 16;

/// How long `health` waits for each step of a registry's answer: connecting, each write, each read.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of a registry's answer that `health` reads at most.
pub const HEALTH_ANSWER_BYTES: u64 = 4 * 1024;

/// How long a full socket of the service manager may keep the event loop waiting; then the notice is lost.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_millis(100);

/// Least time between two signs of life to the service manager.
pub const WATCHDOG_INTERVAL: Duration = Duration::from_millis(10);

/// How long giving an allocation back is awaited; then it is forgotten.
pub const TURN_FAREWELL: Duration = Duration::from_secs(2);

/// From a change of whom we are connected with until the registry is told; what changes meanwhile is told
/// with it.
pub const REPORT_DELAY: Duration = Duration::from_secs(1);

/// Time between two questions of `pair` whether it is approved.
pub const PAIRING_INTERVAL: Duration = Duration::from_secs(2);
/// How long `pair` waits to be approved: as long as our registry remembers that it waits.
pub const PAIRING_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of a registry's answer to a person's order that are read at most.
pub const ORDER_ANSWER_BYTES: u64 = 8 * 1024 * 1024;

/// Largest `.env` file, or file of settings that `join` wrote, in bytes; a larger one is not read.
pub const SETTINGS_FILE_BYTES: u64 = 64 * 1024;
