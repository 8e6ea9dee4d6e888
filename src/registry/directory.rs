//! The directory of who is online: decides, without I/O, which frame goes to whom. It is the registry's
//! side of contract part 3. Of registries that share their state each knows the peers of all.

use std::borrow::Cow;
#[cfg(feature = "redis")]
use std::collections::BTreeSet;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::limits::{self, PEER_LIST_BYTES};
use super::store::table::{Row, Table, Texts};
use super::unix_time::UnixTime;
use crate::limits::MESSAGE_NESTING;
use crate::protocol::message::is_object_within;
use crate::protocol::{PathKind, PeerId};

/// The id of one connection to the registry; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ConnectionId(pub(super) usize);

/// Where a peer's WebSocket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It is this connection of ours.
    Here(ConnectionId),
    /// It is at the registry of this name.
    At(String),
}

/// What a frame asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Reaction {
    /// The sender is to be registered.
    Register,
    /// The sender is connected to these peers.
    Report(Vec<Reported>),
    /// The frame goes unchanged to this peer.
    Relay {
        /// Its type.
        kind: &'static str,
        /// The peer it is for.
        target: PeerId,
        /// Where that peer is.
        place: Place,
    },
    /// The frame has no effect, for this reason.
    Nothing(&'static str),
}

/// The answer to a peer that has registered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registered {
    /// The frame to send back.
    pub(super) peer_list: String,
    /// An older connection of the same peer to this registry, which is to be closed.
    pub(super) replaced: Option<ConnectionId>,
}

/// The types of frames that peers send each other.
const RELAYED: [&str; 3] = ["offer", "answer", "ice_candidate"];

/// The peers that have registered.
#[derive(Default)]
pub(super) struct Directory {
    /// The name of this registry among those that share their state.
    own_name: String,
    online: Table<Online>,
    /// Whether it was said that a list is cut.
    cut_is_told: bool,
}

/// A peer that has registered.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Online {
    peer: PeerId,
    /// The registry that has its connection.
    registry: String,
    connection: ConnectionId,
    /// The connections that it reports, if it reports them.
    report: Option<Vec<Reported>>,
}

/// A connection that a peer reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reported {
    /// The other end.
    pub(super) peer: PeerId,
    /// The kind of the path in use, if the peer tells it.
    pub(super) path: Option<PathKind>,
    /// The round-trip time in milliseconds, if the peer tells it.
    pub(super) round_trip_ms: Option<f64>,
}

impl Row for Online {
    fn key(&self) -> &str {
        self.peer.as_str()
    }

    fn time(&self) -> UnixTime {
        UnixTime::default()
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    peer_id: Cow<'a, str>,
    #[serde(default, borrow)]
    target_id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    payload: Option<&'a RawValue>,
}

/// The payload of a heartbeat; sidecars of ours tell here whom they are connected to (contract part 5).
#[derive(Deserialize)]
struct Heartbeat<'a> {
    #[serde(borrow)]
    mesh_peers: Vec<Cow<'a, str>>,
    #[serde(default, borrow)]
    mesh_paths: Option<&'a RawValue>,
}

/// An element of `mesh_paths`.
#[derive(Deserialize)]
struct ReportedPath<'a> {
    #[serde(borrow)]
    peer_id: Cow<'a, str>,
    path: Option<PathKind>,
    round_trip_ms: Option<f64>,
}

impl Heartbeat<'_> {
    /// Returns the paths by the names of their peers. What cannot be used is as if it were not told.
    fn paths(&self) -> HashMap<String, (Option<PathKind>, Option<f64>)> {
        let paths = self.mesh_paths.map(RawValue::get).unwrap_or("[]");
        let paths: Vec<ReportedPath<'_>> = serde_json::from_str(paths).unwrap_or_default();
        let paths = paths.into_iter().take(limits::REPORTED_PEERS);
        let usable = |time: &f64| (0.0..=limits::REPORTED_ROUND_TRIP_MS).contains(time);
        paths
            .map(|path| {
                let round_trip = path.round_trip_ms.filter(usable);
                (path.peer_id.into_owned(), (path.path, round_trip))
            })
            .collect()
    }
}

impl Directory {
    /// Makes a directory without peers, for a registry of this name.
    pub(super) fn new(own_name: String) -> Self {
        Directory {
            own_name,
            ..Directory::default()
        }
    }

    /// Returns how many peers are online.
    pub(super) fn len(&self) -> usize {
        self.online.len()
    }

    /// Returns the peers as they are kept elsewhere.
    pub(super) fn table(&mut self) -> &mut dyn Texts {
        &mut self.online
    }

    /// Returns what a text frame asks for that came on a connection which was opened with a token of `sender`.
    pub(super) fn read(&self, sender: &PeerId, text: &str) -> Reaction {
        if !is_object_within(text, MESSAGE_NESTING) {
            return Reaction::Nothing("it is no object, or nested too deeply");
        }
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
            return Reaction::Nothing("it is no frame of the contract");
        };
        if envelope.peer_id != sender.as_str() {
            return Reaction::Nothing("its peer_id is not the sender's");
        }
        if let Some(kind) = RELAYED.into_iter().find(|kind| *kind == envelope.kind) {
            let target = envelope
                .target_id
                .and_then(|target| self.online.get(&target));
            return match target {
                Some(target) => Reaction::Relay {
                    kind,
                    target: target.peer.clone(),
                    place: self.place_of(target),
                },
                None => Reaction::Nothing("its target is not online"),
            };
        }
        match envelope.kind.as_ref() {
            "register" => Reaction::Register,
            "heartbeat" => match envelope.payload.and_then(reported) {
                Some(peers) if self.report_of(sender) == Some(&peers) => {
                    Reaction::Nothing("it reports what is known")
                }
                Some(peers) => Reaction::Report(peers),
                None => Reaction::Nothing("a heartbeat is not answered"),
            },
            _ => Reaction::Nothing("its type is unknown"),
        }
    }

    fn place_of(&self, online: &Online) -> Place {
        match online.registry == self.own_name {
            true => Place::Here(online.connection),
            false => Place::At(online.registry.clone()),
        }
    }

    /// Returns where a peer is; `None` when it is not online.
    pub(super) fn place(&self, peer: &PeerId) -> Option<Place> {
        let online = self.online.get(peer.as_str())?;
        Some(self.place_of(online))
    }

    /// Returns the peers whose connections are ours.
    #[cfg(feature = "redis")]
    pub(super) fn here(&self) -> Vec<(PeerId, ConnectionId)> {
        let here = self.online.iter();
        let here = here.filter(|online| online.registry == self.own_name);
        here.map(|online| (online.peer.clone(), online.connection))
            .collect()
    }

    /// Returns the names of the other registries that have peers.
    #[cfg(feature = "redis")]
    pub(super) fn other_registries(&self) -> Vec<String> {
        let names = self.online.iter().map(|online| &online.registry);
        let others: BTreeSet<&String> = names.filter(|name| **name != self.own_name).collect();
        others.into_iter().cloned().collect()
    }

    /// Notes that the peers of a registry are online no longer, since it is gone.
    #[cfg(feature = "redis")]
    pub(super) fn registry_is_gone(&mut self, name: &str) {
        self.online.remove_all(|online| online.registry == name);
    }

    /// Notes that `connection` has ended. A newer one of the same peer stays online.
    pub(super) fn closed(&mut self, connection: ConnectionId, peer: &PeerId) {
        if self.place(peer) == Some(Place::Here(connection)) {
            self.online.remove(peer.as_str());
        }
    }

    /// Returns the peers that are online, in the order in which they came.
    pub(super) fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.online.iter().map(|online| &online.peer)
    }

    /// Returns the peers that report their connections, and what they report.
    pub(super) fn reports(&self) -> impl Iterator<Item = (&PeerId, &[Reported])> {
        let online = self.online.iter();
        online.filter_map(|online| Some((&online.peer, online.report.as_deref()?)))
    }

    /// Returns the connections that a peer reports; `None` when it reports none, or is not online.
    pub(super) fn report_of(&self, peer: &PeerId) -> Option<&[Reported]> {
        self.online.get(peer.as_str())?.report.as_deref()
    }

    /// Notes the peers that one reports to be connected to.
    pub(super) fn report(
        &mut self,
        connection: ConnectionId,
        peer: &PeerId,
        report: Vec<Reported>,
    ) {
        if self.place(peer) == Some(Place::Here(connection)) {
            self.online
                .update(peer.as_str(), |online| online.report = Some(report));
        }
    }

    /// Notes that a peer is online by this connection, in place of any other.
    pub(super) fn register(&mut self, connection: ConnectionId, peer: &PeerId) -> Registered {
        let before = self.place(peer);
        if before != Some(Place::Here(connection)) {
            self.enter(connection, peer);
        }
        let (peer_list, left_out) = self.peer_list(peer);
        if self.leaves_out(left_out) {
            log::warn!(
                "{} peers are online, more than fit into a list of {PEER_LIST_BYTES} bytes: {left_out} are left \
                 out of the one for {peer}",
                self.len()
            );
        }
        let replaced = match before {
            Some(Place::Here(before)) if before != connection => Some(before),
            _ => None,
        };
        Registered {
            peer_list,
            replaced,
        }
    }

    /// Enters a peer, or replaces it.
    pub(super) fn enter(&mut self, connection: ConnectionId, peer: &PeerId) {
        self.online.put(Online {
            peer: peer.clone(),
            registry: self.own_name.clone(),
            connection,
            report: None,
        });
    }

    /// Notes that a list leaves out `count` names. Returns whether it is the first that leaves out any.
    fn leaves_out(&mut self, count: usize) -> bool {
        count > 0 && !std::mem::replace(&mut self.cut_is_told, true)
    }

    /// Returns the other peers that are online as a frame of at most [`PEER_LIST_BYTES`], and how many are
    /// left out of it.
    fn peer_list(&self, asker: &PeerId) -> (String, usize) {
        const END: &str = "]}}";
        let mut frame =
            String::from(r#"{"type":"peer_list","peer_id":"registry","payload":{"peers":["#);
        let mut separator = "";
        let mut left_out = 0;
        for peer in self.online.iter().map(|online| &online.peer) {
            if peer == asker {
                continue;
            }
            let name = serde_json::json!(peer).to_string();
            let length = frame.len() + separator.len() + name.len() + END.len();
            if left_out > 0 || length > PEER_LIST_BYTES {
                left_out += 1;
                continue;
            }
            frame.push_str(separator);
            frame.push_str(&name);
            separator = ",";
        }
        frame.push_str(END);
        (frame, left_out)
    }
}

/// Returns the peers that the payload of a heartbeat reports, if it does, as far as there is room for them.
fn reported(payload: &RawValue) -> Option<Vec<Reported>> {
    let heartbeat = serde_json::from_str::<Heartbeat<'_>>(payload.get()).ok()?;
    let paths = heartbeat.paths();
    let mut room = limits::REPORT_BYTES;
    let names = heartbeat.mesh_peers.iter().take(limits::REPORTED_PEERS);
    let fitting = names.map_while(|name| {
        room = room.checked_sub(name.len())?;
        let (path, round_trip_ms) = paths.get(name.as_ref()).copied().unwrap_or_default();
        Some(PeerId::new(name).map(|peer| Reported {
            peer,
            path,
            round_trip_ms,
        }))
    });
    Some(fitting.flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: ConnectionId = ConnectionId(1);
    const SECOND: ConnectionId = ConnectionId(2);
    const THIRD: ConnectionId = ConnectionId(3);

    fn peer(name: &str) -> PeerId {
        PeerId::new(name).unwrap()
    }

    fn register(directory: &mut Directory, connection: ConnectionId, name: &str) -> Registered {
        let frame = format!(r#"{{"type":"register","peer_id":"{name}","payload":null}}"#);
        assert_eq!(directory.read(&peer(name), &frame), Reaction::Register);
        directory.register(connection, &peer(name))
    }

    fn peer_list(names: &str, replaced: Option<ConnectionId>) -> Registered {
        Registered {
            peer_list: format!(
                r#"{{"type":"peer_list","peer_id":"registry","payload":{{"peers":[{names}]}}}}"#
            ),
            replaced,
        }
    }

    #[test]
    fn register_is_answered_with_the_others_each_time() {
        let mut directory = Directory::default();
        assert_eq!(register(&mut directory, FIRST, "a"), peer_list("", None));
        let second = register(&mut directory, SECOND, "b");
        assert_eq!(second, peer_list(r#""a""#, None));
        let again = register(&mut directory, FIRST, "a");
        assert_eq!(again, peer_list(r#""b""#, None));
        for rest in [
            "",
            r#","payload":{}"#,
            r#","target_id":null"#,
            r#","target_id":"""#,
        ] {
            let frame = format!(r#"{{"type":"register","peer_id":"a"{rest}}}"#);
            assert_eq!(directory.read(&peer("a"), &frame), Reaction::Register);
        }
        assert_eq!(directory.len(), 2);
    }

    #[test]
    fn names_are_written_as_json() {
        let mut directory = Directory::default();
        directory.register(FIRST, &peer(r#"say "hi" \ 🦀"#));
        let peer_list = register(&mut directory, SECOND, "b").peer_list;
        let frame: serde_json::Value = serde_json::from_str(&peer_list).unwrap();
        assert_eq!(frame["payload"]["peers"][0], r#"say "hi" \ 🦀"#);
    }

    #[test]
    fn offers_answers_and_candidates_go_to_their_target() {
        let mut directory = Directory::default();
        register(&mut directory, SECOND, "b");
        for kind in ["offer", "answer", "ice_candidate"] {
            let frame = format!(r#"{{"type":"{kind}","peer_id":"a","target_id":"b","payload":1}}"#);
            let reaction = directory.read(&peer("a"), &frame);
            let relayed = Reaction::Relay {
                kind,
                target: peer("b"),
                place: Place::Here(SECOND),
            };
            assert_eq!(reaction, relayed);
        }
    }

    #[test]
    fn what_is_not_to_be_relayed_is_dropped() {
        let mut directory = Directory::default();
        register(&mut directory, FIRST, "a");
        register(&mut directory, SECOND, "b");
        for frame in [
            r#"{"type":"offer","peer_id":"b","target_id":"a"}"#,
            r#"{"type":"register","peer_id":"b"}"#,
            r#"{"type":"offer","peer_id":"a","target_id":"nobody"}"#,
            r#"{"type":"offer","peer_id":"a","target_id":""}"#,
            r#"{"type":"offer","peer_id":"a","target_id":7}"#,
            r#"{"type":"offer","peer_id":"a","target_id":null}"#,
            r#"{"type":"offer","peer_id":"a"}"#,
            r#"{"type":"heartbeat","peer_id":"a","payload":{}}"#,
            r#"{"type":"peer_list","peer_id":"a","target_id":"b","payload":{"peers":[]}}"#,
            r#"{"type":1,"peer_id":"a"}"#,
            r#"{"type":"register"}"#,
            r#"{"type":"register","peer_id":"a"} more"#,
            "[]",
            "",
        ] {
            let reaction = directory.read(&peer("a"), frame);
            assert!(matches!(reaction, Reaction::Nothing(_)), "{frame}");
        }
    }

    #[test]
    fn a_newer_connection_replaces_and_outlives_the_older() {
        let mut directory = Directory::default();
        register(&mut directory, FIRST, "a");
        register(&mut directory, SECOND, "b");
        let newer = register(&mut directory, THIRD, "a");
        assert_eq!(newer, peer_list(r#""b""#, Some(FIRST)));
        directory.closed(FIRST, &peer("a"));
        let again = register(&mut directory, SECOND, "b");
        assert_eq!(again, peer_list(r#""a""#, None));
        directory.closed(THIRD, &peer("a"));
        let again = register(&mut directory, SECOND, "b");
        assert_eq!(again, peer_list("", None));
    }

    #[test]
    fn a_peer_list_is_cut_where_clients_stop_reading() {
        let mut directory = Directory::default();
        for number in 0..2000 {
            let name = format!("{number:0>200}");
            directory.online.put(Online {
                peer: peer(&name),
                registry: String::new(),
                connection: ConnectionId(number),
                report: None,
            });
        }
        let (list, left_out) = directory.peer_list(&peer("asker"));
        assert!(list.len() <= PEER_LIST_BYTES && list.len() > PEER_LIST_BYTES - 210);
        let frame: serde_json::Value = serde_json::from_str(&list).unwrap();
        let listed = frame["payload"]["peers"].as_array().unwrap().len();
        assert!(listed > 1200);
        assert_eq!(left_out, 2000 - listed);
        let news = [0, 5, 7, 0].map(|count| directory.leaves_out(count));
        assert_eq!(news, [false, true, false, false], "it is said once");
    }

    #[test]
    fn a_heartbeat_may_report_connections() {
        let mut directory = Directory::default();
        let report = |directory: &mut Directory, connection, payload: &str| {
            let frame = format!(r#"{{"type":"heartbeat","peer_id":"a","payload":{payload}}}"#);
            if let Reaction::Report(peers) = directory.read(&peer("a"), &frame) {
                directory.report(connection, &peer("a"), peers);
            }
        };
        report(&mut directory, FIRST, r#"{"mesh_peers":["b"]}"#);
        assert_eq!(directory.report_of(&peer("a")), None, "not registered");
        register(&mut directory, FIRST, "a");
        for nothing in ["null", "{}", "[]", r#"{"mesh_peers":7}"#] {
            report(&mut directory, FIRST, nothing);
            assert_eq!(directory.report_of(&peer("a")), None);
        }
        report(&mut directory, FIRST, r#"{"mesh_peers":["b","","c"]}"#);
        report(&mut directory, FIRST, "{}");
        let named = |name| Reported {
            peer: peer(name),
            path: None,
            round_trip_ms: None,
        };
        let expected = [named("b"), named("c")];
        assert_eq!(directory.report_of(&peer("a")), Some(&expected[..]));
        register(&mut directory, FIRST, "a");
        assert_eq!(directory.report_of(&peer("a")), Some(&expected[..]));
        for useless in [
            "7",
            r#"[{"peer_id":"b","path":"odd"}]"#,
            r#"[{"peer_id":"x","path":"relay"},{"peer_id":"b","round_trip_ms":-1}]"#,
        ] {
            let payload = format!(r#"{{"mesh_peers":["b","c"],"mesh_paths":{useless}}}"#);
            report(&mut directory, FIRST, &payload);
            assert_eq!(directory.report_of(&peer("a")), Some(&expected[..]));
        }
        report(
            &mut directory,
            FIRST,
            r#"{"mesh_peers":["b"],"mesh_paths":[{"peer_id":"b","path":"relay","round_trip_ms":2.5}]}"#,
        );
        let known = r#"{"mesh_peers":["b"],"mesh_paths":[{"peer_id":"b","path":"relay","round_trip_ms":2.5}]}"#;
        let frame = format!(r#"{{"type":"heartbeat","peer_id":"a","payload":{known}}}"#);
        let again = directory.read(&peer("a"), &frame);
        assert_eq!(again, Reaction::Nothing("it reports what is known"));
        let slower = frame.replace("2.5", "2.6");
        let again = directory.read(&peer("a"), &slower);
        assert!(matches!(again, Reaction::Report(_)), "{again:?}");
        let relayed = Reported {
            path: Some(PathKind::Relay),
            round_trip_ms: Some(2.5),
            ..named("b")
        };
        assert_eq!(directory.report_of(&peer("a")), Some(&[relayed][..]));
        register(&mut directory, SECOND, "a");
        assert_eq!(directory.report_of(&peer("a")), None, "a new process");
        report(&mut directory, FIRST, r#"{"mesh_peers":["b"]}"#);
        assert_eq!(directory.report_of(&peer("a")), None, "of the old one");

        let many: Vec<_> = (0..=limits::REPORTED_PEERS)
            .map(|n| n.to_string())
            .collect();
        let payload = serde_json::json!({"mesh_peers": many}).to_string();
        report(&mut directory, SECOND, &payload);
        let kept = directory.report_of(&peer("a")).unwrap().len();
        assert_eq!(kept, limits::REPORTED_PEERS);
        let long = vec!["x".repeat(250); limits::REPORTED_PEERS];
        let payload = serde_json::json!({"mesh_peers": long}).to_string();
        report(&mut directory, SECOND, &payload);
        let kept = directory.report_of(&peer("a")).unwrap().len();
        assert_eq!(kept, limits::REPORT_BYTES / 250);
    }

    #[test]
    fn a_peer_at_another_registry_is_listed_and_found_there() {
        let mut other = Directory::new("r2".to_owned());
        register(&mut other, FIRST, "b");
        let mut directory = Directory::new("r1".to_owned());
        register(&mut directory, FIRST, "a");
        directory.table().settle();
        for (key, text) in other.table().changes() {
            directory.table().take_over(&key, text.as_deref()).unwrap();
        }
        let offer = r#"{"type":"offer","peer_id":"a","target_id":"b"}"#;
        let Reaction::Relay { place, .. } = directory.read(&peer("a"), offer) else {
            panic!("not online");
        };
        assert_eq!(place, Place::At("r2".to_owned()));
        assert_eq!(
            register(&mut directory, FIRST, "a"),
            peer_list(r#""b""#, None)
        );
        directory.closed(FIRST, &peer("b"));
        assert_eq!(
            directory.place(&peer("b")),
            Some(Place::At("r2".to_owned()))
        );
        let here = register(&mut directory, SECOND, "b");
        assert_eq!(here, peer_list(r#""a""#, None));
        assert_eq!(directory.place(&peer("b")), Some(Place::Here(SECOND)));
        directory.table().undo();
        assert_eq!(
            directory.place(&peer("b")),
            Some(Place::At("r2".to_owned()))
        );
    }
}
