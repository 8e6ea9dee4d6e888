//! Who is online, whose offer survives when two cross, and how many offers are accepted in what time.

pub(crate) mod negotiation;
pub(crate) mod roster;
pub(crate) mod token_bucket;
