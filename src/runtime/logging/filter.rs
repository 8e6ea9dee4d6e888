//! Decides which log records are written, by `RUST_LOG`.

use log::{LevelFilter, Log as _, Metadata};

/// The crate's own name, with which every target of ours begins.
const OWN_CRATE: &str = env!("CARGO_CRATE_NAME");

/// Returns a target as the log shows it: without the prefix that all of ours have.
pub(super) fn shown_target(target: &str) -> &str {
    let Some(module) = within(target, OWN_CRATE) else {
        return target;
    };
    match within(module, "runtime") {
        Some(part) if !part.is_empty() => part,
        _ if module.is_empty() => target,
        _ => module,
    }
}

/// Returns the part of a module path that follows `module`.
fn within<'a>(path: &'a str, module: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(module)?;
    match rest.strip_prefix("::") {
        Some(rest) => Some(rest),
        None => rest.is_empty().then_some(""),
    }
}

/// Returns the most verbose level that a part of the program may log at, whatever the filter says.
/// Other crates print things at their lowest levels that must not be in a log.
///
/// * `tungstenite` writes its whole request, with the token in it, and each frame, with SDP in it,
///   at `trace`, and where it is redirected to at `debug`. `ureq` shows paths and redirects when
///   `trace` is on; its headers are already redacted. `rustls` shows handshakes.
/// * `dimpl`, `sctp_proto` and `mio` name states, sizes and sequence numbers at `debug`, and no
///   content. (str0m itself writes to `tracing`, which nobody listens to here.)
///
/// A crate that is not known here is treated like `tungstenite`, `ureq` and `rustls`.
fn ceiling(target: &str) -> LevelFilter {
    match target.split("::").next() {
        Some(OWN_CRATE) => LevelFilter::Trace,
        Some("dimpl" | "sctp_proto" | "mio") => LevelFilter::Debug,
        _ => LevelFilter::Info,
    }
}

/// Returns the ceiling for a crate that the filter does not name.
///
/// `dimpl` and `sctp_proto` warn of what a peer sends, and call an error what is a usual goodbye of
/// other implementations. We log ourselves what it means for us.
fn unnamed_ceiling(target: &str) -> LevelFilter {
    match target.split("::").next() {
        Some("dimpl" | "sctp_proto") => LevelFilter::Off,
        _ => LevelFilter::Warn,
    }
}

/// The user's filter, in env_logger's syntax, under the ceilings above.
///
/// A target is a path of modules as the log shows it (`mesh`, `signaling`), or the whole path
/// (`chatixia_sidecar::mesh`), or the name of another crate. Other crates log no more than warnings,
/// and some nothing, unless they are named.
#[derive(Debug)]
pub(super) struct Filter {
    text: String,
    rules: env_logger::Logger,
}

impl Filter {
    /// Parses a filter; an empty one means `info`. Leaves out what can't be parsed, which env_logger
    /// reports on standard error.
    pub(super) fn parse(text: &str) -> Filter {
        let text = if text.is_empty() { "info" } else { text };
        Filter {
            text: text.to_owned(),
            rules: env_logger::Builder::new().parse_filters(text).build(),
        }
    }

    /// Returns the most verbose level of any rule, for the shortcut of the `log` crate.
    pub(super) fn most(&self) -> LevelFilter {
        self.rules.filter()
    }

    /// Returns whether a record is written.
    pub(super) fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let shown = Metadata::builder()
            .level(metadata.level())
            .target(shown_target(target))
            .build();
        let is_ours = within(target, OWN_CRATE).is_some();
        let ceiling = if is_ours || self.names(target) {
            ceiling(target)
        } else {
            unnamed_ceiling(target)
        };
        metadata.level() <= ceiling && (self.rules.enabled(metadata) || self.rules.enabled(&shown))
    }

    fn names(&self, target: &str) -> bool {
        let name = target.split("::").next().unwrap_or(target);
        self.text
            .split([',', '=', ':'])
            .any(|part| part.trim() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the most verbose level at which the target is written.
    fn level(filter: &str, target: &str) -> LevelFilter {
        let filter = Filter::parse(filter);
        let written = |level: &log::Level| {
            filter.enabled(&Metadata::builder().level(*level).target(target).build())
        };
        log::Level::iter()
            .filter(written)
            .map(|level| level.to_level_filter())
            .max()
            .unwrap_or(LevelFilter::Off)
    }

    #[test]
    fn targets_are_shown_without_what_all_have() {
        for (target, shown) in [
            ("chatixia_sidecar::mesh::session", "mesh::session"),
            ("chatixia_sidecar::runtime::signaling", "signaling"),
            ("chatixia_sidecar::runtime", "runtime"),
            ("chatixia_sidecar", "chatixia_sidecar"),
            ("chatixia_sidecar_x::mesh", "chatixia_sidecar_x::mesh"),
            ("ureq::run", "ureq::run"),
        ] {
            assert_eq!(shown_target(target), shown);
        }
    }

    #[test]
    fn a_part_is_named_as_the_log_shows_it_or_whole() {
        let filter = "warn,mesh=debug,chatixia_sidecar::runtime=trace";
        assert_eq!(level(filter, "chatixia_sidecar::config"), LevelFilter::Warn);
        assert_eq!(level(filter, "chatixia_sidecar::mesh"), LevelFilter::Debug);
        assert_eq!(
            level(filter, "chatixia_sidecar::runtime::ipc"),
            LevelFilter::Trace
        );
        assert_eq!(Filter::parse(filter).most(), LevelFilter::Trace);
    }

    #[test]
    fn without_a_filter_ours_tell_info_and_others_warn() {
        assert_eq!(level("", "chatixia_sidecar::mesh"), LevelFilter::Info);
        assert_eq!(level("", "rustls::conn"), LevelFilter::Warn);
        assert_eq!(level("debug", "mio"), LevelFilter::Warn);
        assert_eq!(level("error", "mio"), LevelFilter::Error);
        assert_eq!(level("dimpl=debug", "dimpl::client"), LevelFilter::Debug);
    }

    #[test]
    fn what_peers_do_is_no_error_of_libraries_unless_they_are_asked() {
        for target in ["sctp_proto::association", "dimpl::server"] {
            for filter in ["", "info", "trace", "mesh=debug"] {
                assert_eq!(level(filter, target), LevelFilter::Off, "{filter}");
            }
        }
        let named = level("info,sctp_proto=debug", "sctp_proto::association");
        assert_eq!(named, LevelFilter::Debug);
    }

    #[test]
    fn no_filter_makes_other_crates_tell_secrets() {
        for target in ["tungstenite::handshake", "ureq", "ureq_proto::x", "rustls"] {
            let own_name = target.split("::").next().unwrap();
            for filter in ["trace", own_name, &format!("{own_name}=trace")] {
                assert!(level(filter, target) <= LevelFilter::Info, "{filter}");
            }
        }
    }
}
