use super::*;

const FIRST: ConnectionId = ConnectionId(1);
const SECOND: ConnectionId = ConnectionId(2);
const THIRD: ConnectionId = ConnectionId(3);

fn peer(name: &str) -> PeerId {
    PeerId::new(name).unwrap()
}

fn register(directory: &mut Directory, connection: ConnectionId, name: &str) -> Registered {
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
fn a_peer_at_another_registry_is_listed_and_found_there() {
    let mut other = Directory::new("r2".to_owned());
    register(&mut other, FIRST, "b");
    let mut directory = Directory::new("r1".to_owned());
    register(&mut directory, FIRST, "a");
    directory.table().settle();
    for (key, text) in other.table().changes() {
        directory.table().take_over(&key, text.as_deref()).unwrap();
    }
    assert_eq!(
        directory.place(&peer("b")),
        Some(Place::At("r2".to_owned()))
    );
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
