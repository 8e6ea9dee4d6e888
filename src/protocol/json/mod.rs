//! The little JSON that the wire types need: objects read in one pass, their values checked and
//! kept as the text that they were written in, and objects written without a tree in between.
//!
//! A library's reader gives either values or their text; to carry messages untouched and fast we
//! need the text of a message and some of its members from the same pass.

mod reader;
mod value;
mod writer;

pub(super) use reader::{Reader, SyntaxError};
pub(super) use value::{Value, shorten};
pub(super) use writer::{ObjectWriter, push_string, write_object};

#[cfg(test)]
mod tests;
