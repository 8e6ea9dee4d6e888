//! The process's surroundings: signals that end it, and the service manager that watches it.

pub(crate) mod service_manager;
pub(crate) mod signals;
