//! The writer: writes objects as text, member by member, without a tree in between.

use std::fmt::Display;

/// A buffer that JSON text is written to.
pub(crate) trait Sink {
    /// Appends text.
    fn push(&mut self, text: &str);
}

impl Sink for String {
    fn push(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl Sink for Vec<u8> {
    fn push(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

/// Appends an object with the members that `members` writes.
pub(crate) fn write_object<S: Sink>(out: &mut S, members: impl FnOnce(&mut ObjectWriter<'_, S>)) {
    out.push("{");
    members(&mut ObjectWriter {
        out,
        separator: "\"",
    });
    out.push("}");
}

/// Writes the members of one object. The names are our own and need no escapes.
pub(crate) struct ObjectWriter<'a, S> {
    out: &'a mut S,
    separator: &'static str,
}

impl<S: Sink> ObjectWriter<'_, S> {
    /// Writes a member whose value is JSON text already.
    pub(crate) fn raw(&mut self, name: &'static str, json: &str) {
        self.name(name);
        self.out.push(json);
    }

    /// Writes a string.
    pub(crate) fn string(&mut self, name: &'static str, text: &str) {
        self.name(name);
        push_string(self.out, text);
    }

    /// Writes a number.
    pub(crate) fn number(&mut self, name: &'static str, number: impl Display) {
        self.raw(name, &number.to_string());
    }

    /// Writes a boolean.
    pub(crate) fn boolean(&mut self, name: &'static str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    /// Writes an object.
    pub(crate) fn object(
        &mut self,
        name: &'static str,
        members: impl FnOnce(&mut ObjectWriter<'_, S>),
    ) {
        self.name(name);
        write_object(self.out, members);
    }

    /// Writes an array; `element` appends one element.
    pub(crate) fn array<T>(
        &mut self,
        name: &'static str,
        elements: impl IntoIterator<Item = T>,
        mut element: impl FnMut(&mut S, T),
    ) {
        self.name(name);
        let mut separator = "[";
        for each in elements {
            self.out.push(separator);
            element(self.out, each);
            separator = ",";
        }
        self.out.push(if separator == "[" { "[]" } else { "]" });
    }

    fn name(&mut self, name: &'static str) {
        self.out.push(self.separator);
        self.out.push(name);
        self.out.push("\":");
        self.separator = ",\"";
    }
}

/// Appends a text as a JSON string (RFC 8259, section 7).
pub(crate) fn push_string<S: Sink>(out: &mut S, text: &str) {
    out.push("\"");
    let mut rest = text;
    while let Some(at) = rest.bytes().position(needs_escape) {
        let (plain, special) = rest.split_at(at);
        out.push(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => out.push("\\\""),
            Some('\\') => out.push("\\\\"),
            Some('\n') => out.push("\\n"),
            Some('\r') => out.push("\\r"),
            Some('\t') => out.push("\\t"),
            Some(control) => out.push(&format!("\\u{:04x}", u32::from(control))),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push(rest);
    out.push("\"");
}

fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}
