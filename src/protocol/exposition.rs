//! The text in which metrics are told: OpenMetrics 1.0, and the older text format of Prometheus, 0.0.4.

use std::fmt::{Display, Write as _};

/// One of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, 0.0.4.
    Prometheus,
}

impl Format {
    /// Chooses for a client by the values of its `Accept` headers: the older format only for those that ask
    /// for text and not, or less, for OpenMetrics.
    pub fn accepted<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut open, mut text) = (0, 0);
        for range in accept.into_iter().flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q="));
            let quality = quality.map_or(1000, thousandths);
            if kind == "application/openmetrics-text" {
                open = open.max(quality);
            } else if kind.starts_with("text/") {
                text = text.max(quality);
            }
        }
        if text > open {
            Format::Prometheus
        } else {
            Format::OpenMetrics
        }
    }

    /// Returns the value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Returns a quality (RFC 9110, 12.4.2) in thousandths; 0 for what is none.
fn thousandths(quality: &str) -> u32 {
    let quality: f64 = quality.parse().unwrap_or(0.0);
    // Out of range it is cut; what is no number counts as 0.
    (quality.clamp(0.0, 1.0) * 1000.0) as u32
}

/// The type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows. Its samples have the suffix `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Observations by their size.
    Histogram,
    /// Facts in labels. Its samples have the suffix `_info`.
    Info,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        }
    }
}

/// A metric family: all that is said of it before its samples.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name, with the unit at its end, without the suffixes of its samples.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its unit, in the plural; empty if it has none.
    pub unit: &'static str,
    /// What it tells, in a sentence without line breaks, quotes and backslashes.
    pub help: &'static str,
}

/// The names and values of a sample's labels.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// A text that is being written.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    text: String,
    /// The family whose samples are being written.
    name: &'static str,
    suffix: &'static str,
}

impl Exposition {
    /// Begins a text.
    pub fn new(format: Format) -> Self {
        Exposition {
            format,
            text: String::new(),
            name: "",
            suffix: "",
        }
    }

    /// Begins a family; its samples follow.
    pub fn family(&mut self, family: &Family) {
        (self.name, self.suffix) = (family.name, family.kind.suffix());
        // The older format knows a family by the name of its samples.
        let (name, kind) = match (self.format, family.kind) {
            (Format::OpenMetrics, Kind::Counter) => (family.name.to_owned(), "counter"),
            (Format::OpenMetrics, Kind::Info) => (family.name.to_owned(), "info"),
            (Format::Prometheus, Kind::Counter) => (format!("{}_total", family.name), "counter"),
            (Format::Prometheus, Kind::Info) => (format!("{}_info", family.name), "gauge"),
            (_, Kind::Gauge) => (family.name.to_owned(), "gauge"),
            (_, Kind::Histogram) => (family.name.to_owned(), "histogram"),
        };
        self.line(format_args!("# TYPE {name} {kind}"));
        if !family.unit.is_empty() && self.format == Format::OpenMetrics {
            self.line(format_args!("# UNIT {name} {}", family.unit));
        }
        self.line(format_args!("# HELP {name} {}", family.help));
    }

    /// Writes a sample that is a whole number.
    pub fn count(&mut self, labels: Labels<'_>, value: u64) {
        self.sample(self.suffix, labels, None, value);
    }

    /// Writes a sample.
    pub fn value(&mut self, labels: Labels<'_>, value: f64) {
        self.sample(self.suffix, labels, None, format_args!("{value:?}"));
    }

    /// Writes the samples of a histogram. Each of `buckets` is an upper bound and how many observations were
    /// no larger.
    pub fn histogram(
        &mut self,
        labels: Labels<'_>,
        buckets: impl Iterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        for (bound, count) in buckets {
            let bound = format!("{bound:?}");
            self.sample("_bucket", labels, Some(&bound), count);
        }
        self.sample("_bucket", labels, Some("+Inf"), count);
        self.sample("_count", labels, None, count);
        self.sample("_sum", labels, None, format_args!("{sum:?}"));
    }

    /// Returns the whole text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn sample(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: impl Display,
    ) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut separator = '{';
        let bound = bound.map(|bound| ("le", bound));
        for (name, value) in labels.iter().copied().chain(bound) {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            push_escaped(&mut self.text, value);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    fn line(&mut self, text: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{text}");
    }
}

fn push_escaped(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Family = Family {
        name: "sent_bytes",
        kind: Kind::Counter,
        unit: "bytes",
        help: "Bytes sent.",
    };
    const BUILD: Family = Family {
        name: "build",
        kind: Kind::Info,
        unit: "",
        help: "The version.",
    };
    const TIME: Family = Family {
        name: "time_seconds",
        kind: Kind::Histogram,
        unit: "seconds",
        help: "Times.",
    };
    const LOAD: Family = Family {
        name: "load",
        kind: Kind::Gauge,
        unit: "",
        help: "Load.",
    };

    fn text(format: Format) -> String {
        let mut text = Exposition::new(format);
        text.family(&SENT);
        text.count(&[("peer", "a \"b\"\\\n🦀")], 7);
        text.family(&BUILD);
        text.count(&[("version", "1"), ("x", "")], 1);
        text.family(&TIME);
        let buckets = [(0.00025, 1), (1.0, 3)];
        text.histogram(&[("to", "b")], buckets.into_iter(), 4, 62.5);
        text.family(&LOAD);
        text.value(&[], 3.0);
        text.finish()
    }

    #[test]
    fn openmetrics_has_units_and_an_end() {
        let expected = r#"# TYPE sent_bytes counter
# UNIT sent_bytes bytes
# HELP sent_bytes Bytes sent.
sent_bytes_total{peer="a \"b\"\\\n🦀"} 7
# TYPE build info
# HELP build The version.
build_info{version="1",x=""} 1
# TYPE time_seconds histogram
# UNIT time_seconds seconds
# HELP time_seconds Times.
time_seconds_bucket{to="b",le="0.00025"} 1
time_seconds_bucket{to="b",le="1.0"} 3
time_seconds_bucket{to="b",le="+Inf"} 4
time_seconds_count{to="b"} 4
time_seconds_sum{to="b"} 62.5
# TYPE load gauge
# HELP load Load.
load 3.0
# EOF
"#;
        assert_eq!(text(Format::OpenMetrics), expected);
    }

    #[test]
    fn the_older_format_names_families_as_their_samples() {
        let text = text(Format::Prometheus);
        let comments: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(
            comments,
            [
                "# TYPE sent_bytes_total counter",
                "# HELP sent_bytes_total Bytes sent.",
                "# TYPE build_info gauge",
                "# HELP build_info The version.",
                "# TYPE time_seconds histogram",
                "# HELP time_seconds Times.",
                "# TYPE load gauge",
                "# HELP load Load.",
            ]
        );
    }

    #[test]
    fn the_older_format_is_for_those_who_ask_for_text() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, format) in [
            (&[][..], Format::OpenMetrics),
            (&["*/*"], Format::OpenMetrics),
            (&[prometheus], Format::OpenMetrics),
            (&["text/plain"], Format::Prometheus),
            (
                &["text/plain", "application/openmetrics-text"],
                Format::OpenMetrics,
            ),
            (&["Text/HTML, */*;q=0.8"], Format::Prometheus),
            (
                &["text/*;q=0.9, application/openmetrics-text ; q=0.8"],
                Format::Prometheus,
            ),
            (&["text/plain;q=0"], Format::OpenMetrics),
            (&["text/plain;q=x,;;,,q"], Format::OpenMetrics),
            (&["text/plain;q=NaN"], Format::OpenMetrics),
        ] {
            assert_eq!(
                Format::accepted(accept.iter().copied()),
                format,
                "{accept:?}"
            );
        }
    }
}
