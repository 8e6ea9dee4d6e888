//! The directory of who is online: decides, without I/O, which frame goes to whom. It is the registry's
//! side of contract part 3.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::limits::{self, PEER_LIST_BYTES};
use crate::protocol::{PathKind, PeerId};

/// The id of one connection to the registry; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) usize);

/// The registry's reaction to a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// The sender is online now, and gets this `peer_list`.
    Registered {
        /// The frame to send back.
        peer_list: String,
        /// An older connection of the same peer, which is to be closed.
        replaced: Option<ConnectionId>,
    },
    /// The frame goes unchanged to this connection.
    Relay {
        /// Its type.
        kind: &'static str,
        /// The peer it is for.
        target: PeerId,
        /// The connection of that peer.
        connection: ConnectionId,
    },
    /// The frame has no effect, for this reason.
    Nothing(&'static str),
}

/// The types of frames that peers send each other.
const RELAYED: [&str; 3] = ["offer", "answer", "ice_candidate"];

/// The peers that have registered.
#[derive(Debug, Default)]
pub(super) struct Directory {
    online: BTreeMap<PeerId, Online>,
    /// Whether it was said that a list is cut.
    cut_is_told: bool,
}

/// A peer that has registered.
#[derive(Debug)]
struct Online {
    connection: ConnectionId,
    /// The connections that it reports, if it reports them.
    report: Option<Vec<Reported>>,
}

/// A connection that a peer reports.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reported {
    /// The other end.
    pub(super) peer: PeerId,
    /// The kind of the path in use, if the peer tells it.
    pub(super) path: Option<PathKind>,
    /// The round-trip time in milliseconds, if the peer tells it.
    pub(super) round_trip_ms: Option<f64>,
}

impl Online {
    fn new(connection: ConnectionId) -> Self {
        Online {
            connection,
            report: None,
        }
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
    /// Returns how many peers are online.
    pub(super) fn len(&self) -> usize {
        self.online.len()
    }

    /// Handles a text frame that came on `connection`, which was opened with a token of `sender`.
    pub(super) fn frame(
        &mut self,
        connection: ConnectionId,
        sender: &PeerId,
        text: &str,
    ) -> Reaction {
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
            return Reaction::Nothing("it is no frame of the contract");
        };
        if envelope.peer_id != sender.as_str() {
            return Reaction::Nothing("its peer_id is not the sender's");
        }
        if let Some(kind) = RELAYED.into_iter().find(|kind| *kind == envelope.kind) {
            let target = envelope.target_id.and_then(|target| PeerId::new(&target));
            let online = target.and_then(|target| self.online.get_key_value(&target));
            return match online {
                Some((target, online)) => Reaction::Relay {
                    kind,
                    target: target.clone(),
                    connection: online.connection,
                },
                None => Reaction::Nothing("its target is not online"),
            };
        }
        match envelope.kind.as_ref() {
            "register" => self.register(connection, sender),
            "heartbeat" => {
                self.report(connection, sender, envelope.payload);
                Reaction::Nothing("a heartbeat is not answered")
            }
            _ => Reaction::Nothing("its type is unknown"),
        }
    }

    /// Notes that `connection` has ended. A newer one of the same peer stays online.
    pub(super) fn closed(&mut self, connection: ConnectionId, peer: &PeerId) {
        let online = self.online.get(peer);
        if online.is_some_and(|online| online.connection == connection) {
            self.online.remove(peer);
        }
    }

    /// Returns the peers that are online, in the order of their names.
    pub(super) fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.online.keys()
    }

    /// Returns the peers that report their connections, and what they report.
    pub(super) fn reports(&self) -> impl Iterator<Item = (&PeerId, &[Reported])> {
        let online = self.online.iter();
        online.filter_map(|(peer, online)| Some((peer, online.report.as_deref()?)))
    }

    /// Returns the connections that a peer reports; `None` when it reports none, or is not online.
    pub(super) fn report_of(&self, peer: &PeerId) -> Option<&[Reported]> {
        self.online.get(peer)?.report.as_deref()
    }

    /// Notes the report in a heartbeat, if there is one.
    fn report(&mut self, connection: ConnectionId, peer: &PeerId, payload: Option<&RawValue>) {
        let heartbeat =
            payload.and_then(|payload| serde_json::from_str::<Heartbeat<'_>>(payload.get()).ok());
        let online = self.online.get_mut(peer);
        let (Some(heartbeat), Some(online)) = (heartbeat, online) else {
            return;
        };
        if online.connection != connection {
            return;
        }
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
        online.report = Some(fitting.flatten().collect());
    }

    fn register(&mut self, connection: ConnectionId, peer: &PeerId) -> Reaction {
        let online = self.online.entry(peer.clone());
        let online = online.or_insert_with(|| Online::new(connection));
        let before = online.connection;
        if before != connection {
            *online = Online::new(connection);
        }
        let (peer_list, left_out) = self.peer_list(peer);
        if self.leaves_out(left_out) {
            log::warn!(
                "{} peers are online, more than fit into a list of {PEER_LIST_BYTES} bytes: {left_out} are left \
                 out of the one for {peer}",
                self.len()
            );
        }
        Reaction::Registered {
            peer_list,
            replaced: Some(before).filter(|before| *before != connection),
        }
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
        for peer in self.online.keys().filter(|peer| *peer != asker) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: ConnectionId = ConnectionId(1);
    const SECOND: ConnectionId = ConnectionId(2);
    const THIRD: ConnectionId = ConnectionId(3);

    fn peer(name: &str) -> PeerId {
        PeerId::new(name).unwrap()
    }

    fn register(directory: &mut Directory, connection: ConnectionId, name: &str) -> Reaction {
        let frame = format!(r#"{{"type":"register","peer_id":"{name}","payload":null}}"#);
        directory.frame(connection, &peer(name), &frame)
    }

    fn peer_list(names: &str, replaced: Option<ConnectionId>) -> Reaction {
        Reaction::Registered {
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
            let reaction = directory.frame(FIRST, &peer("a"), &frame);
            assert_eq!(reaction, peer_list(r#""b""#, None));
        }
        assert_eq!(directory.len(), 2);
    }

    #[test]
    fn names_are_written_as_json() {
        let mut directory = Directory::default();
        directory.register(FIRST, &peer(r#"say "hi" \ 🦀"#));
        let Reaction::Registered { peer_list, .. } = register(&mut directory, SECOND, "b") else {
            panic!("not registered");
        };
        let frame: serde_json::Value = serde_json::from_str(&peer_list).unwrap();
        assert_eq!(frame["payload"]["peers"][0], r#"say "hi" \ 🦀"#);
    }

    #[test]
    fn offers_answers_and_candidates_go_to_their_target() {
        let mut directory = Directory::default();
        register(&mut directory, SECOND, "b");
        for kind in ["offer", "answer", "ice_candidate"] {
            let frame = format!(r#"{{"type":"{kind}","peer_id":"a","target_id":"b","payload":1}}"#);
            let reaction = directory.frame(FIRST, &peer("a"), &frame);
            let relayed = Reaction::Relay {
                kind,
                target: peer("b"),
                connection: SECOND,
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
            let reaction = directory.frame(FIRST, &peer("a"), frame);
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
            let online = Online::new(ConnectionId(number));
            directory.online.insert(peer(&name), online);
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
            directory.frame(connection, &peer("a"), &frame);
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
}
