//! Core in simulated time.
