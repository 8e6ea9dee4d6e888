//! One JSON value, as the text it was written in.

use std::borrow::Cow;

use super::{Reader, SyntaxError};
use crate::limits;

/// The text of one JSON value, known to be one, without white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// Takes a text that is one value and nothing else.
    pub(in crate::protocol) fn parse(text: &'a str) -> Result<Self, SyntaxError> {
        let mut reader = Reader::new(text);
        let value = reader.value()?;
        reader.end().map(|()| value)
    }

    /// What a [`Reader`] has read.
    pub(super) fn of(json: &'a str) -> Self {
        Value(json)
    }

    /// The text.
    pub(in crate::protocol) fn as_json(self) -> &'a str {
        self.0
    }

    /// Gives each key, without its escapes, and value of an object; false for what is none.
    /// A key that comes twice is given twice: let the last one count.
    pub(in crate::protocol) fn members(self, mut member: impl FnMut(&str, Value<'a>)) -> bool {
        Reader::new(self.0)
            .object(|key, reader| {
                member(key, reader.value()?);
                Ok(())
            })
            .is_ok()
    }

    /// Gives each element of an array; false for what is none.
    pub(in crate::protocol) fn elements(self, mut element: impl FnMut(Value<'a>)) -> bool {
        Reader::new(self.0)
            .array(|reader| {
                element(reader.value()?);
                Ok(())
            })
            .is_ok()
    }

    /// Itself, or nothing when it is null.
    pub(in crate::protocol) fn unless_null(self) -> Option<Self> {
        (self.0 != "null").then_some(self)
    }

    /// Whether it is a string.
    pub(in crate::protocol) fn is_string(self) -> bool {
        self.0.starts_with('"')
    }

    /// The text of a string; `None` for other values, and for a string that is no Unicode text
    /// because it has half of a surrogate pair as an escape.
    pub(in crate::protocol) fn string(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.0).ok().map(Cow::Owned)
    }

    /// Whether it is a number written without fraction and exponent, of any size.
    pub(in crate::protocol) fn is_integer(self) -> bool {
        let digits = self.0.strip_prefix('-').unwrap_or(self.0);
        digits.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// A whole number that is not negative and fits 64 bits.
    pub(in crate::protocol) fn count(self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// What it is, for a person.
    pub(in crate::protocol) fn kind(self) -> &'static str {
        match self.0.as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }
}

/// The beginning of a text from outside, fit for a message or a log line.
pub(in crate::protocol) fn shorten(text: &str) -> String {
    let mut chars = text.chars();
    let mut short: String = (&mut chars)
        .take(limits::QUOTED_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}
