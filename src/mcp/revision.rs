//! The revisions of MCP that are spoken, and what each of them has.

/// A revision of MCP, named by its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// The first.
    V2024_11_05,
    /// Hints about tools, and batches.
    V2025_03_26,
    /// Structured results; no batches any more.
    V2025_06_18,
    /// The last that begins with `initialize`.
    V2025_11_25,
    /// Stateless: each request says what its sender speaks.
    V2026_07_28,
}

impl Revision {
    /// All of them, the newest first.
    pub const ALL: [Revision; 5] = [
        Revision::V2026_07_28,
        Revision::V2025_11_25,
        Revision::V2025_06_18,
        Revision::V2025_03_26,
        Revision::V2024_11_05,
    ];

    /// The newest that begins with `initialize`.
    pub const LAST_WITH_SESSION: Revision = Revision::V2025_11_25;

    /// Finds a revision by its name.
    pub fn named(name: &str) -> Option<Revision> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Returns the name, as in `2025-11-25`.
    pub fn name(self) -> &'static str {
        match self {
            Revision::V2024_11_05 => "2024-11-05",
            Revision::V2025_03_26 => "2025-03-26",
            Revision::V2025_06_18 => "2025-06-18",
            Revision::V2025_11_25 => "2025-11-25",
            Revision::V2026_07_28 => "2026-07-28",
        }
    }

    /// Returns whether each request bears the revision, and none begins a session.
    pub fn is_stateless(self) -> bool {
        self >= Revision::V2026_07_28
    }

    /// Returns whether several messages may come in one array.
    pub fn has_batches(self) -> bool {
        self == Revision::V2025_03_26
    }

    /// Returns whether a tool's description may hold hints about what it does.
    pub fn has_hints(self) -> bool {
        self >= Revision::V2025_03_26
    }

    /// Returns whether tools have titles, and results a structure that a schema describes.
    pub fn has_structure(self) -> bool {
        self >= Revision::V2025_06_18
    }
}
