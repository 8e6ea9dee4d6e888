//! Formats one log record as one line.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::Level;
use serde::Serialize;

use crate::calendar::civil_date;
use crate::config::LogFormat;
use crate::deceptive::is_deceptive;
use crate::limits;

/// The content of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) time: SystemTime,
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) message: &'a str,
}

#[derive(Serialize)]
struct Json<'a> {
    ts: &'a str,
    level: &'a str,
    target: &'a str,
    message: &'a str,
}

impl Line<'_> {
    /// Returns the line with its end, of at most [`limits::LOG_LINE_BYTES`]. Cuts a message that is too
    /// long.
    pub(super) fn write(self, format: LogFormat) -> String {
        let mut message = Cow::Borrowed(self.message);
        loop {
            let line = match format {
                LogFormat::Text => self.text(&message),
                LogFormat::Json => self.json(&message),
            };
            let excess = line.len().saturating_sub(limits::LOG_LINE_BYTES);
            if excess == 0 || message.is_empty() {
                return line;
            }
            // Escapes make a line longer than its message, so cutting may have to be repeated.
            let ellipsis = '…'.len_utf8();
            let keep = (message.len() / 2).max(message.len().saturating_sub(excess + ellipsis));
            let kept = message.get(..message.floor_char_boundary(keep));
            message = match kept {
                Some(kept) if keep > ellipsis => Cow::Owned(format!("{kept}…")),
                _ => Cow::Borrowed(""),
            };
        }
    }

    fn text(self, message: &str) -> String {
        let mut line = format!(
            "{} {:<5} {}: ",
            timestamp(self.time),
            self.level,
            self.target
        );
        for c in message.chars() {
            // A message may contain words of others, which must not look like a line of ours.
            if is_deceptive(c) {
                line.extend(c.escape_default());
            } else {
                line.push(c);
            }
        }
        line.push('\n');
        line
    }

    fn json(self, message: &str) -> String {
        let json = Json {
            ts: &timestamp(self.time),
            level: &self.level.as_str().to_ascii_lowercase(),
            target: self.target,
            message,
        };
        let mut line = serde_json::to_string(&json).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// Formats a time in UTC as RFC 3339 has it, with milliseconds.
fn timestamp(time: SystemTime) -> String {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        since_epoch.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, format: LogFormat) -> String {
        Line {
            time: UNIX_EPOCH + Duration::from_millis(1_769_860_800_123),
            level: Level::Info,
            target: "mesh",
            message,
        }
        .write(format)
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        // Second values: `date -u -d TIME +%s`.
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (951_868_800, "2000-03-01T00:00:00.007Z"),
            (1_704_067_199, "2023-12-31T23:59:59.007Z"),
            (1_709_164_800, "2024-02-29T00:00:00.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
            (253_402_300_799, "9999-12-31T23:59:59.007Z"),
        ] {
            let time = UNIX_EPOCH + Duration::new(seconds, 7_000_000);
            assert_eq!(timestamp(time), expected);
        }
        assert_eq!(
            timestamp(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn text_is_for_people_and_one_line_whatever_the_message() {
        assert_eq!(
            line("hello", LogFormat::Text),
            "2026-01-31T12:00:00.123Z INFO  mesh: hello\n"
        );
        assert_eq!(
            line("a\nb\x1b[31m", LogFormat::Text),
            "2026-01-31T12:00:00.123Z INFO  mesh: a\\nb\\u{1b}[31m\n"
        );
        assert_eq!(
            line("é\u{202e}b\u{2028}c", LogFormat::Text),
            "2026-01-31T12:00:00.123Z INFO  mesh: é\\u{202e}b\\u{2028}c\n"
        );
    }

    #[test]
    fn json_is_one_object_a_line_whatever_the_message() {
        assert_eq!(
            line("a \"b\"\n\\ \u{1} é", LogFormat::Json),
            "{\"ts\":\"2026-01-31T12:00:00.123Z\",\"level\":\"info\",\"target\":\"mesh\",\
             \"message\":\"a \\\"b\\\"\\n\\\\ \\u0001 é\"}\n"
        );
    }

    #[test]
    fn lines_that_are_too_long_are_cut_but_stay_whole_json() {
        for message in ["x".repeat(5000), "é".repeat(3000), "\u{1}".repeat(100_000)] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let line = line(&message, format);
                assert!(line.len() <= limits::LOG_LINE_BYTES, "{}", line.len());
                assert!(line.len() > limits::LOG_LINE_BYTES / 4, "{}", line.len());
                assert!(line.contains('…'));
            }
            let json = line(&message, LogFormat::Json);
            serde_json::from_str::<serde_json::Value>(&json).unwrap();
        }
    }
}
