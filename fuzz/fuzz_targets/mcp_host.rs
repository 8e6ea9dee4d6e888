//! Fuzzes the MCP server: whatever a host and a sidecar write, each line that it writes is one of JSON, each request
//! is answered at most once, and it comes to an end.
//!
//! Lines that begin with `!` are the sidecar's; with `~` time passes; all others are the host's.
#![no_main]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chatixia_sidecar_fuzz::is_json;
use chatixia_sidecar_fuzz::mcp::{Exit, Output, Server, Settings, Tool};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let settings = Settings {
        allowed: Tool::ALL.to_vec(),
        has_channel: data.len() % 2 == 0,
        line_bytes: 1000,
        seed: 7,
    };
    let mut now = Instant::now();
    let mut server = Server::new(settings, &[7; 64], now);
    let mut answers = BTreeMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        match line.split_first() {
            Some((b'!', line)) => server.sidecar_line(line, now),
            Some((b'~', _)) => now = pass(&mut server, now, Duration::from_secs(2)),
            _ if line.len() > 1000 => server.host_line_too_long(line),
            _ => {
                if let Ok(Value::Object(request)) = serde_json::from_slice(line)
                    && let Some(id) = request.get("id")
                {
                    *answers.entry(id.to_string()).or_insert(0) += 1;
                }
                server.host_line(line, now);
            }
        }
        check(&mut server, &mut answers);
    }
    server.examined(None, now);
    server.sidecar_ended(Exit::Code(1), now);
    server.host_ended(now);
    pass(&mut server, now, Duration::from_secs(10));
    check(&mut server, &mut answers);
    assert!(server.is_done());
});

fn pass(server: &mut Server, now: Instant, time: Duration) -> Instant {
    let end = now + time;
    while let Some(due) = server.next_timeout().filter(|due| *due <= end) {
        server.handle_timeout(due.max(now));
    }
    end
}

/// Checks all that the server writes. `answers`: how many answers each id may still have.
fn check(server: &mut Server, answers: &mut BTreeMap<String, u32>) {
    while let Some(output) = server.poll_output() {
        let (line, is_hosts) = match &output {
            Output::Host(line) => (line, true),
            Output::Sidecar(line) => (line, false),
            Output::StartSidecar | Output::StartDoctor | Output::StopDoctor => continue,
        };
        let text = line.strip_suffix('\n').expect("a line ends");
        assert!(!text.contains('\n'), "more than one line");
        assert!(is_json(text.as_bytes()), "no JSON: {text}");
        if is_hosts
            && let Ok(Value::Object(message)) = serde_json::from_str(text)
            && !message.contains_key("method")
            && let Some(id) = message.get("id").filter(|id| !id.is_null())
            && let Some(left) = answers.get_mut(&id.to_string())
        {
            *left = left.checked_sub(1).expect("a request is answered once");
        }
    }
}
