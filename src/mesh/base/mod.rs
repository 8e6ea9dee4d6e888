//! Small parts that the rest of the core is built with: deadlines, the size of a queue, counters.

pub(crate) mod queue_size;
pub(crate) mod timers;
pub(crate) mod totals;
