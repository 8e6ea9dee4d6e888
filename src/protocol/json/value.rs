//! A JSON value that keeps the text it was written in.

use std::borrow::Cow;

use super::{Reader, SyntaxError};
use crate::limits;

/// The text of one valid JSON value, without white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// Parses a text that is one value and nothing else.
    pub(crate) fn parse(text: &'a str) -> Result<Self, SyntaxError> {
        let mut reader = Reader::new(text);
        let value = reader.value()?;
        reader.end().map(|()| value)
    }

    /// Wraps the text of a value that a [`Reader`] has read.
    pub(super) fn of(json: &'a str) -> Self {
        Value(json)
    }

    /// Returns the JSON text.
    pub(crate) fn as_json(self) -> &'a str {
        self.0
    }

    /// Calls `member` with each key, without its escapes, and value of an object; returns false if it is
    /// no object. A key that comes twice is given twice: the last should count.
    pub(crate) fn members(self, mut member: impl FnMut(&str, Value<'a>)) -> bool {
        Reader::new(self.0)
            .object(|key, reader| {
                member(key, reader.value()?);
                Ok(())
            })
            .is_ok()
    }

    /// Calls `element` with each element of an array; returns false if it is no array.
    pub(crate) fn elements(self, mut element: impl FnMut(Value<'a>)) -> bool {
        Reader::new(self.0)
            .array(|reader| {
                element(reader.value()?);
                Ok(())
            })
            .is_ok()
    }

    /// Returns the value, or `None` when it is null.
    pub(crate) fn unless_null(self) -> Option<Self> {
        (self.0 != "null").then_some(self)
    }

    /// Returns whether it is a string.
    pub(crate) fn is_string(self) -> bool {
        self.0.starts_with('"')
    }

    /// Returns the text of a string; `None` for other values, and for a string that is no Unicode text
    /// because it has half of a surrogate pair as an escape.
    pub(crate) fn string(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.0).ok().map(Cow::Owned)
    }

    /// Returns whether it is a number written without fraction and exponent, of any size.
    pub(crate) fn is_integer(self) -> bool {
        let digits = self.0.strip_prefix('-').unwrap_or(self.0);
        digits.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Returns a whole number that is not negative and fits 64 bits; `None` for anything else.
    pub(crate) fn count(self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// Names its kind for a person.
    pub(crate) fn kind(self) -> &'static str {
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

/// Returns the beginning of a text from outside, escaped so that it fits into a message or a log line.
pub(crate) fn shorten(text: &str) -> String {
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
