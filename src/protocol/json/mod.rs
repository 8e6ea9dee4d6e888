//! A small JSON reader and writer for the wire types. Objects are read in one pass, and their values are
//! checked and kept as the text they were written in; objects are written without a tree in between.
//!
//! A library's reader gives either values or their text. To carry messages untouched and fast, we need the
//! text of a message and some of its members from the same pass.

mod reader;
mod value;
mod writer;

pub(crate) use reader::{Reader, SyntaxError};
pub(crate) use value::{Value, shorten};
pub(crate) use writer::{ObjectWriter, push_string, write_object};

#[cfg(test)]
mod tests;
