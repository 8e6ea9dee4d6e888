//! How peers are introduced to each other: who is online, which of two crossing offers survives, and how
//! many offers are accepted in what time.

pub(crate) mod negotiation;
pub(crate) mod roster;
pub(crate) mod token_bucket;
