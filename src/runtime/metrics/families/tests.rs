use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::*;
use crate::mesh::statistics::example;

const PROCESS: ProcessNumbers = ProcessNumbers {
    start_seconds: 1.75e9,
    cpu_seconds: 1.5,
    resident_bytes: Some(8 << 20),
    threads: Some(6),
    open_files: Some(20),
    most_open_files: None,
};

fn metrics(format: Format, peers: usize, names_peers: bool) -> String {
    text(format, &example(peers), &PROCESS, names_peers)
}

/// The samples of a text by all that is before the value.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| line.rsplit_once(' ').unwrap());
    samples
        .map(|(sample, value)| (sample, value.parse().unwrap()))
        .collect()
}

#[test]
fn numbers_are_told_in_base_units() {
    let text = metrics(Format::OpenMetrics, 4, false);
    let samples = samples(&text);
    for (sample, value) in [
        ("chatixia_build_info{version=\"0.1.0\"}", 1.0),
        ("chatixia_registry_connected", 1.0),
        ("chatixia_peers{state=\"connected\"}", 4.0),
        ("chatixia_peers{state=\"connecting\"}", 0.0),
        ("chatixia_paths{path=\"host\"}", 2.0),
        ("chatixia_paths{path=\"direct\"}", 1.0),
        ("chatixia_paths{path=\"relay\"}", 1.0),
        ("chatixia_round_trip_least_seconds{path=\"host\"}", 0.0),
        ("chatixia_round_trip_median_seconds{path=\"host\"}", 0.0),
        ("chatixia_round_trip_most_seconds{path=\"host\"}", 0.003),
        ("chatixia_round_trip_most_seconds{path=\"relay\"}", 0.002),
        ("chatixia_sent_messages_total", 11.0),
        ("chatixia_drops_total{cause=\"stray_datagrams\"}", 3.0),
        ("chatixia_receipt_seconds_count{receipt=\"agent\"}", 2.0),
        ("chatixia_receipt_seconds_sum{receipt=\"agent\"}", 0.5),
        (
            "chatixia_receipt_seconds_bucket{receipt=\"agent\",le=\"0.25\"}",
            2.0,
        ),
        (
            "chatixia_receipt_seconds_bucket{receipt=\"transport\",le=\"+Inf\"}",
            0.0,
        ),
        ("process_resident_memory_bytes", 8_388_608.0),
        ("process_cpu_seconds_total", 1.5),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample} in {text}");
    }
    assert!(
        !text.contains("process_max_fds"),
        "what is unknown is absent"
    );
}

#[test]
fn peers_are_named_only_where_that_is_wanted() {
    let without = metrics(Format::OpenMetrics, 4, false);
    assert!(!without.contains("peer-1"));
    let with = metrics(Format::OpenMetrics, 4, true);
    let samples = samples(&with);
    assert_eq!(samples["chatixia_peer_connected{peer=\"peer-1\"}"], 1.0);
    let round_trip = "chatixia_peer_round_trip_seconds{peer=\"peer-2\",path=\"relay\"}";
    assert_eq!(samples[round_trip], 0.002);
}

#[test]
fn names_follow_the_conventions() {
    for format in [Format::OpenMetrics, Format::Prometheus] {
        let text = metrics(format, 4, true);
        let mut families = BTreeSet::new();
        for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
            let name = line.split(' ').nth(2).unwrap();
            assert!(families.insert(name), "{name} is there twice");
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{name}"
            );
        }
        for line in text.lines().filter(|line| line.starts_with("# UNIT ")) {
            let (name, unit) = line["# UNIT ".len()..].split_once(' ').unwrap();
            assert!(name.ends_with(&format!("_{unit}")), "{line}");
        }
        for line in text.lines().filter(|line| line.starts_with("# HELP ")) {
            assert!(line.ends_with('.'), "{line}");
        }
        let has_end = format == Format::OpenMetrics;
        assert_eq!(text.ends_with("\n# EOF\n"), has_end);
    }
}

/// The dashboard in `packaging/` asks for nothing that a sidecar does not tell.
#[test]
fn the_dashboard_names_only_metrics_that_are_there() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/packaging/grafana-dashboard.json"
    );
    let dashboard: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = metrics(Format::Prometheus, 4, true);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let told: BTreeSet<_> = samples
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(
            panel["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty())
        );
        for target in panel["targets"].as_array().into_iter().flatten() {
            expressions.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    assert!(expressions.len() >= 8, "{expressions:?}");
    for expression in expressions {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<_> = words
            .filter(|word| word.starts_with("chatixia_") || word.starts_with("process_"))
            .collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(told.contains(name), "{name} is not told");
        }
    }
}

/// The bound is for builds without optimisation. An optimised one takes 0.1 ms; `--nocapture` shows it.
#[test]
fn a_hundred_peers_take_no_time() {
    let numbers = example(100);
    // The shortest of some, because other programs take their time, too.
    let took = (0..10).map(|_| {
        let begun = Instant::now();
        metrics_of(&numbers);
        begun.elapsed()
    });
    let took = took.min().unwrap();
    let text = metrics_of(&numbers);
    println!("text for 100 peers: {} bytes in {took:?}", text.len());
    assert!(took < Duration::from_millis(50), "{took:?}");
    assert!(text.len() < 100 * 1024, "{}", text.len());
}

fn metrics_of(numbers: &Statistics) -> String {
    text(Format::OpenMetrics, numbers, &PROCESS, true)
}
