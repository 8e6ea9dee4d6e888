//! A request of the host: its parameters that several methods have, and the revision that it speaks.

use std::time::Instant;

use super::Asked;
use super::handshake::{CAPABILITIES_KEY, VERSION_KEY};
use super::json::{each_member, json_string, push_member};
use crate::protocol::json::Value;
use crate::protocol::json_rpc::{Code, Fault};

/// A request, as the methods get it.
pub(super) struct Request<'a> {
    pub(super) asked: Asked,
    /// The JSON text of its parameters.
    pub(super) params: Option<&'a str>,
    pub(super) common: Common<'a>,
    pub(super) now: Instant,
}

/// What a method gives.
pub(super) enum Reply {
    /// The JSON text of the result's members.
    Now(String),
    /// The request is answered elsewhere: at once, later, or never.
    Elsewhere,
}

/// The parameters of a request that have a meaning for more than one method.
#[derive(Default)]
pub(super) struct Common<'a> {
    /// The revision that `_meta` names.
    pub(super) version: Option<Value<'a>>,
    pub(super) capabilities: Option<Value<'a>>,
    pub(super) progress_token: Option<Value<'a>>,
    cursor: Option<Value<'a>>,
}

impl<'a> Common<'a> {
    pub(super) fn read(params: Option<&'a str>) -> Self {
        let mut common = Common::default();
        each_member(params, |key, value| match key {
            "_meta" => {
                value.members(|key, value| match key {
                    VERSION_KEY => common.version = Some(value),
                    CAPABILITIES_KEY => common.capabilities = Some(value),
                    "progressToken" => common.progress_token = Some(value),
                    _ => {}
                });
            }
            "cursor" => common.cursor = Some(value),
            _ => {}
        });
        common
    }

    /// Returns whether a part of a list is asked for, by a cursor. None is ever given out.
    pub(super) fn has_cursor(&self) -> bool {
        self.cursor
            .is_some_and(|cursor| cursor.unless_null().is_some())
    }
}

impl Request<'_> {
    /// Appends for how long a result may be kept, which stateless hosts are told.
    pub(super) fn push_cached(&self, members: &mut String, milliseconds: u32, scope: &str) {
        if self.asked.revision.is_stateless() {
            push_member(members, "ttlMs", &milliseconds.to_string());
            push_member(members, "cacheScope", &json_string(scope));
        }
    }
}

/// Returns the refusal of parameters that can't be used.
pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(Code::InvalidParams, message)
}
