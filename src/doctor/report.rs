//! The report of `doctor`: its findings, as lines for people and for programs.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// The verdict of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// The part that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Check {
    Socket,
    Trust,
    Interfaces,
    Proxy,
    Registry,
    Clock,
    Servers,
    Stun,
    Nat,
    Turn,
}

/// One line of the report. Serialized, it is one line of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) check: Check,
    /// The one of several things that it is about, such as a URL.
    subject: Option<String>,
    message: String,
    /// What the user should do, or look at.
    advice: Option<String>,
    /// The figures in the message, as numbers and addresses.
    details: Value,
}

impl Finding {
    /// Makes a finding that something is as it should be.
    pub(super) fn ok(check: Check, message: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, check, message.into())
    }

    /// Makes a finding that something may be a hindrance.
    pub(super) fn warn(check: Check, message: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, check, message.into())
    }

    /// Makes a finding that something does not work.
    pub(super) fn fail(check: Check, message: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, check, message.into())
    }

    fn new(verdict: Verdict, check: Check, message: String) -> Self {
        Finding {
            verdict,
            check,
            subject: None,
            message,
            advice: None,
            details: Value::Null,
        }
    }

    pub(super) fn about(mut self, subject: impl fmt::Display) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(super) fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

/// Writes the line for a person.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        let check = match self.check {
            Check::Socket => "socket",
            Check::Trust => "trust",
            Check::Interfaces => "interfaces",
            Check::Proxy => "proxy",
            Check::Registry => "registry",
            Check::Clock => "clock",
            Check::Servers => "servers",
            Check::Stun => "stun",
            Check::Nat => "nat",
            Check::Turn => "turn",
        };
        write!(f, "{verdict:<4}  {check:<10}  ")?;
        if let Some(subject) = &self.subject {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// Returns the whole report: a line for each finding.
pub(super) fn text(findings: &[Finding], json: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        let _ = match serde_json::to_string(finding) {
            Ok(line) if json => writeln!(text, "{line}"),
            _ => writeln!(text, "{finding}"),
        };
    }
    text
}

/// Returns whether something has failed.
pub(super) fn has_failure(findings: &[Finding]) -> bool {
    findings.iter().any(|found| found.verdict == Verdict::Fail)
}

/// Joins a list for one line; a long list is cut short.
pub(super) fn listed(items: impl IntoIterator<Item = String>) -> String {
    let mut items = items.into_iter();
    let mut shown: Vec<_> = items.by_ref().take(crate::limits::DOCTOR_LISTED).collect();
    match items.count() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    shown.join(", ")
}

/// Returns milliseconds, rounded to a tenth.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn finding() -> Finding {
        Finding::fail(Check::Turn, "no answer")
            .about("turn:h:3478 over UDP")
            .advice("is it there?")
            .details(json!({"ms": 1}))
    }

    #[test]
    fn a_finding_is_one_line_with_what_to_do() {
        assert_eq!(
            text(&[finding(), Finding::ok(Check::Clock, "right")], false),
            "fail  turn        turn:h:3478 over UDP: no answer; is it there?\n\
             ok    clock       right\n"
        );
    }

    #[test]
    fn in_json_it_is_an_object_a_line() {
        assert_eq!(
            text(&[finding()], true),
            "{\"verdict\":\"fail\",\"check\":\"turn\",\"subject\":\"turn:h:3478 over UDP\",\
             \"message\":\"no answer\",\"advice\":\"is it there?\",\"details\":{\"ms\":1}}\n"
        );
    }

    #[test]
    fn only_a_failure_is_one() {
        let fine = [Finding::ok(Check::Nat, ""), Finding::warn(Check::Nat, "")];
        assert!(!has_failure(&fine));
        assert!(has_failure(&[finding()]));
    }

    #[test]
    fn long_lists_are_cut_short() {
        let items = |count: usize| (0..count).map(|n| n.to_string());
        assert_eq!(listed(items(3)), "0, 1, 2");
        assert!(listed(items(20)).ends_with("14, 15, and 4 more"));
    }
}
