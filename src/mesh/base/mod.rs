//! Small parts that the rest of the core is built with: deadlines, the size of a queue, counters, a histogram.

pub(crate) mod histogram;
pub(crate) mod queue_size;
pub(crate) mod timers;
pub(crate) mod totals;
