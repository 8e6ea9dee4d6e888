//! Whether this program was built with the feature `redis`. The code is the same with it and without; but without it
//! nobody can have a [`Built`], and so the compiler leaves out all that needs one.

#[cfg(feature = "redis")]
mod there {
    /// What only a program has that was built with the feature.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Built;

    /// There is one.
    pub(crate) const BUILT: Option<Built> = Some(Built);
}

#[cfg(not(feature = "redis"))]
mod there {
    /// What only a program has that was built with the feature.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Built {}

    /// There is none.
    pub(crate) const BUILT: Option<Built> = None;
}

pub(super) use there::{BUILT, Built};
