//! Reading: the members of one object, each value as the text it was written in.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits;

/// What the members of a JSON object are read into. A member that comes twice is taken twice, so
/// the last one counts.
pub(in crate::protocol) trait Members<'de>: Default {
    /// Takes the value of the member `key` from `map`, whether it is of use or not
    /// ([`pass_over`] for those that are not).
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// A JSON object, read in one pass and without recursion: values nested as deep as one likes cost
/// a byte each, no stack.
#[derive(Debug)]
pub(in crate::protocol) struct Object<T>(pub(in crate::protocol) T);

impl<'de, T: Members<'de>> Object<T> {
    /// Reads a text that is one JSON object and nothing else.
    pub(in crate::protocol) fn read(text: &'de str) -> Result<T, serde_json::Error> {
        serde_json::from_str::<Self>(text).map(|object| object.0)
    }
}

impl<'de, T: Members<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Members<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = T::default();
        while let Some(key) = map.next_key::<&RawValue>()? {
            // A key that is no text (half of a surrogate pair) is none that we know.
            members.take(&string(key).unwrap_or_default(), &mut map)?;
        }
        Ok(Object(members))
    }
}

/// Skips the value of a member.
pub(in crate::protocol) fn pass_over<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// Whether a text is one JSON value; if not, where and why. The error quotes nothing of the text.
pub(in crate::protocol) fn is_json(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(text).map(|_| ())
}

/// Whether a value is a string.
pub(in crate::protocol) fn is_string(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// The text of a string; `None` for other values, and for a string that is no Unicode text
/// because it has half of a surrogate pair as an escape.
pub(in crate::protocol) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(value.get()).ok().map(Cow::Owned)
}

/// What a value is, for a person.
pub(in crate::protocol) fn kind_of(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
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
