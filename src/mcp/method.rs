//! The methods of MCP that are answered, and the revisions that have them.

use super::revision::Revision;

/// A method of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Initialize,
    Discover,
    Ping,
    ListTools,
    CallTool,
    ListResources,
    ListResourceTemplates,
    ReadResource,
    Subscribe,
    Unsubscribe,
    Listen,
}

/// Which revisions have a method.
#[derive(Clone, Copy)]
enum HadBy {
    /// All of them.
    All,
    /// Those that begin with `initialize`.
    WithSession,
    /// Those whose requests each bear the revision.
    Stateless,
}

const METHODS: [(&str, HadBy, Method); 11] = [
    ("initialize", HadBy::WithSession, Method::Initialize),
    ("server/discover", HadBy::Stateless, Method::Discover),
    ("ping", HadBy::WithSession, Method::Ping),
    ("tools/list", HadBy::All, Method::ListTools),
    ("tools/call", HadBy::All, Method::CallTool),
    ("resources/list", HadBy::All, Method::ListResources),
    (
        "resources/templates/list",
        HadBy::All,
        Method::ListResourceTemplates,
    ),
    ("resources/read", HadBy::All, Method::ReadResource),
    ("resources/subscribe", HadBy::WithSession, Method::Subscribe),
    (
        "resources/unsubscribe",
        HadBy::WithSession,
        Method::Unsubscribe,
    ),
    ("subscriptions/listen", HadBy::Stateless, Method::Listen),
];

impl Method {
    /// Finds a method by its name, if a revision has it.
    pub(super) fn named(name: &str, revision: Revision) -> Option<Method> {
        let mut methods = METHODS.into_iter();
        let found = methods.find(|(known, had_by, _)| {
            let is_there = match had_by {
                HadBy::All => true,
                HadBy::WithSession => !revision.is_stateless(),
                HadBy::Stateless => revision.is_stateless(),
            };
            is_there && *known == name
        });
        found.map(|(_, _, method)| method)
    }

    /// Returns whether its result is a list, which may be asked for in parts.
    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Method::ListTools | Method::ListResources | Method::ListResourceTemplates
        )
    }

    /// Returns whether it is about resources, of which the inbox is the only one.
    pub(super) fn needs_inbox(self) -> bool {
        matches!(
            self,
            Method::ListResources
                | Method::ListResourceTemplates
                | Method::ReadResource
                | Method::Subscribe
                | Method::Unsubscribe
        )
    }
}
