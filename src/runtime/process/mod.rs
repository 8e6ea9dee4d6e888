//! The process's surroundings: signals, the process that started it, and the service manager that watches it.

pub(crate) mod parent;
pub(crate) mod service_manager;
pub(crate) mod signals;
