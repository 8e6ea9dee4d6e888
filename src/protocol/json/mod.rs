//! The little JSON that the wire types need: objects read in one pass with their values kept as
//! text, and objects written without a tree in between.

mod read;
mod write;

pub(super) use read::{Members, Object, is_json, is_string, kind_of, pass_over, shorten, string};
pub(super) use write::{ObjectWriter, push_string, write_object};

#[cfg(test)]
mod tests;
