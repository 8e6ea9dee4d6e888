//! `RUST_LOG`: which records are written.

use log::{LevelFilter, Metadata};

/// The crate's own name at the front of every target of ours.
const OWN_CRATE: &str = env!("CARGO_CRATE_NAME");

/// A target as it is shown: without what is the same for all of ours.
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

/// What follows `module` in a path of modules.
fn within<'a>(path: &'a str, module: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(module)?;
    match rest.strip_prefix("::") {
        Some(rest) => Some(rest),
        None => rest.is_empty().then_some(""),
    }
}

/// How much a part of the program may tell, whatever the filter says: other crates print at their
/// lowest levels what must not be in a log.
///
/// * `tungstenite` writes its whole request, with the token in it, and each frame, with SDP in it,
///   at `trace`, and where it is redirected to at `debug`. `ureq` shows paths and redirects when
///   `trace` is on; its headers are already redacted. `rustls` shows handshakes.
/// * `dimpl`, `sctp_proto` and `mio` name states, sizes and sequence numbers at `debug`, and no
///   content. (str0m itself writes to `tracing`, which nobody listens to here.)
///
/// A crate that is not known here may tell as little as the first ones.
fn ceiling(target: &str) -> LevelFilter {
    match target.split("::").next() {
        Some(OWN_CRATE) => LevelFilter::Trace,
        Some("dimpl" | "sctp_proto" | "mio") => LevelFilter::Debug,
        _ => LevelFilter::Info,
    }
}

/// `LEVEL` and `TARGET=LEVEL`, separated by commas.
///
/// A target is a path of modules as it stands in the log (`mesh`, `signaling`), or whole
/// (`chatixia_sidecar::mesh`), or the name of another crate; the longest that fits counts. Other
/// crates tell no more than warnings unless they are named.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    general: LevelFilter,
    named: Vec<(String, LevelFilter)>,
}

impl Filter {
    /// Reads a filter. What can't be read is left out, and told in the second part.
    pub(super) fn parse(text: &str) -> (Filter, Vec<String>) {
        let mut filter = Filter {
            general: LevelFilter::Info,
            named: Vec::new(),
        };
        let mut problems = Vec::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            match part.split_once('=') {
                None => match part.parse() {
                    Ok(level) => filter.general = level,
                    Err(_) if is_target(part) => {
                        filter.named.push((part.to_owned(), LevelFilter::Trace));
                    }
                    Err(_) => problems.push(problem(part)),
                },
                Some((target, level)) => match level.trim().parse() {
                    Ok(level) if is_target(target.trim()) => {
                        filter.named.push((target.trim().to_owned(), level));
                    }
                    _ => problems.push(problem(part)),
                },
            }
        }
        (filter, problems)
    }

    /// The most that any record can need, for the shortcut of the `log` crate.
    pub(super) fn most(&self) -> LevelFilter {
        let named = self.named.iter().map(|(_, level)| *level);
        named.fold(self.general, Ord::max)
    }

    /// Whether a record is written.
    pub(super) fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level(metadata.target())
    }

    fn level(&self, target: &str) -> LevelFilter {
        let fits = |name: &str| {
            within(target, name).is_some() || within(shown_target(target), name).is_some()
        };
        let named = self
            .named
            .iter()
            .filter(|(name, _)| fits(name))
            .max_by_key(|(name, _)| name.len());
        let level = match named {
            Some((_, level)) => *level,
            None if within(target, OWN_CRATE).is_some() => self.general,
            None => self.general.min(LevelFilter::Warn),
        };
        level.min(ceiling(target))
    }
}

fn is_target(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "_:-".contains(c);
    !text.is_empty() && text.chars().all(letter)
}

fn problem(part: &str) -> String {
    format!(
        "RUST_LOG: {part:?} is left out; give LEVEL or TARGET=LEVEL with a level of error, warn, \
         info, debug, trace or off"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(filter: &str, target: &str) -> LevelFilter {
        let (filter, problems) = Filter::parse(filter);
        assert_eq!(problems, Vec::<String>::new());
        filter.level(target)
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
    fn the_longest_name_that_fits_counts() {
        let filter = "warn,mesh=debug,mesh::session=off,chatixia_sidecar::runtime=trace";
        assert_eq!(level(filter, "chatixia_sidecar::config"), LevelFilter::Warn);
        assert_eq!(level(filter, "chatixia_sidecar::mesh"), LevelFilter::Debug);
        assert_eq!(
            level(filter, "chatixia_sidecar::mesh::session"),
            LevelFilter::Off
        );
        assert_eq!(level(filter, "chatixia_sidecar::meshes"), LevelFilter::Warn);
        assert_eq!(
            level(filter, "chatixia_sidecar::runtime::ipc"),
            LevelFilter::Trace
        );
        let (filter, _) = Filter::parse(filter);
        assert_eq!(filter.most(), LevelFilter::Trace);
    }

    #[test]
    fn without_a_filter_ours_tell_info_and_others_warn() {
        assert_eq!(level("", "chatixia_sidecar::mesh"), LevelFilter::Info);
        assert_eq!(level("", "sctp_proto::association"), LevelFilter::Warn);
        assert_eq!(level("debug", "dimpl"), LevelFilter::Warn);
        assert_eq!(level("error", "dimpl"), LevelFilter::Error);
        assert_eq!(level("dimpl=debug", "dimpl::client"), LevelFilter::Debug);
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

    #[test]
    fn what_is_no_filter_is_told_and_the_rest_counts() {
        let (filter, problems) = Filter::parse("debug,mesh=loud,[span]=info,=warn,x=y=info");
        assert_eq!(filter.general, LevelFilter::Debug);
        assert_eq!(filter.named, []);
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].starts_with("RUST_LOG: \"mesh=loud\" is left out"));
    }
}
