//! The form in which limits are declared, so that what the code reads is what `chatixia-sidecar limits` prints.

use std::time::Duration;

/// Declares the limits of one matter: the constants that the code reads, and the table of their rows.
///
/// The first sentence of each constant's comment is its row: what is bounded, a semicolon, what happens at the
/// limit. What follows tells why. A name that ends in `_BYTES` counts bytes.
macro_rules! limits {
    (
        $matter:literal as $of:vis $table:ident;
        $($(#[doc = $about:literal])+ $visible:vis const $name:ident: $kind:ty = $value:expr;)+
    ) => {
        $($(#[doc = $about])+ $visible const $name: $kind = $value;)+

        #[doc = concat!("Limits of ", $matter, ".")]
        $of const $table: $crate::limits::table::Table = $crate::limits::table::Table {
            matter: $matter,
            limits: &[$($crate::limits::table::Limit {
                name: stringify!($name),
                about: concat!($($about),+),
                value: || $crate::limits::table::Shown::shown(
                    &$name,
                    stringify!($name).ends_with("_BYTES"),
                ),
            }),+],
        };
    };
}
pub(crate) use limits;

/// The limits of one matter.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// What they are about.
    pub matter: &'static str,
    /// The limits.
    pub limits: &'static [Limit],
}

/// One limit.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The name of the constant.
    pub name: &'static str,
    /// The comment of the constant.
    pub about: &'static str,
    /// Returns its value with its unit.
    pub value: fn() -> String,
}

impl Limit {
    /// Returns what is bounded.
    pub fn bounded(&self) -> String {
        let (bounded, _) = self.parts();
        plain(bounded)
    }

    /// Returns what happens at the limit.
    pub fn at_limit(&self) -> String {
        let (_, at_limit) = self.parts();
        plain(at_limit)
    }

    fn parts(&self) -> (&str, &str) {
        let (bounded, rest) = self.about.split_once("; ").unwrap_or((self.about, ""));
        let end = rest.find(". ").unwrap_or(rest.trim_end_matches('.').len());
        (bounded, rest.get(..end).unwrap_or_default())
    }
}

/// Returns the text of a comment without the brackets of its links and the spaces before it.
fn plain(text: &str) -> String {
    text.trim().replace("[`", "`").replace("`]", "`")
}

/// A value as people write it.
pub(crate) trait Shown {
    /// Returns it with its unit; numbers may count bytes.
    fn shown(&self, in_bytes: bool) -> String;
}

macro_rules! shown_numbers {
    ($($kind:ty),+) => {
        $(impl Shown for $kind {
            fn shown(&self, in_bytes: bool) -> String {
                match *self {
                    number if !in_bytes => number.to_string(),
                    bytes if bytes >= 1 << 20 && bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
                    bytes if bytes >= 1 << 10 && bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
                    bytes => format!("{bytes} bytes"),
                }
            }
        })+
    };
}

shown_numbers!(i32, u32, u64, usize);

impl Shown for Duration {
    fn shown(&self, _: bool) -> String {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        match self.as_secs() {
            _ if self.subsec_nanos() != 0 => format!("{} ms", self.as_millis()),
            hours if hours >= HOUR && hours % HOUR == 0 => format!("{} h", hours / HOUR),
            minutes if minutes >= 2 * MINUTE && minutes % MINUTE == 0 => {
                format!("{} min", minutes / MINUTE)
            }
            seconds => format!("{seconds} s"),
        }
    }
}

impl<T: Shown> Shown for (T, T) {
    fn shown(&self, in_bytes: bool) -> String {
        format!("{}, {}", self.0.shown(in_bytes), self.1.shown(in_bytes))
    }
}

/// A burst, and the interval at which one more follows.
impl Shown for (u32, Duration) {
    fn shown(&self, in_bytes: bool) -> String {
        let (burst, interval) = (self.0.shown(in_bytes), self.1.shown(in_bytes));
        format!("{burst}, then 1 every {interval}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    limits! {
        "tests" as TABLE;

        /// Letters of a word; a longer [`WORD_BYTES`] is
        /// cut. This is why.
        const WORD_BYTES: usize = 3 * 1024;

        /// Words; further ones wait.
        const WORDS: (u32, Duration) = (2, Duration::from_millis(1500));
    }

    #[test]
    fn a_row_says_what_the_comment_and_the_value_say() {
        let [word, words] = TABLE.limits else {
            panic!("two rows");
        };
        assert_eq!(word.name, "WORD_BYTES");
        assert_eq!(word.bounded(), "Letters of a word");
        assert_eq!(word.at_limit(), "a longer `WORD_BYTES` is cut");
        assert_eq!((word.value)(), "3 KiB");
        assert_eq!(words.at_limit(), "further ones wait");
        assert_eq!((words.value)(), "2, then 1 every 1500 ms");
    }

    #[test]
    fn values_have_the_unit_that_people_use() {
        let shown = |seconds| Duration::from_secs(seconds).shown(false);
        assert_eq!(
            [shown(90), shown(300), shown(7200)],
            ["90 s", "5 min", "2 h"]
        );
        assert_eq!(1_048_576_usize.shown(true), "1 MiB");
        assert_eq!(1232_usize.shown(true), "1232 bytes");
        assert_eq!((64_u32, 128_u32).shown(false), "64, 128");
    }
}
