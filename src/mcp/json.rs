//! Parameters and results as JSON text.

use crate::protocol::json::{Value, push_string};

/// Calls `member` with each member of parameters, which are the JSON text of an object.
pub(super) fn each_member<'a>(params: Option<&'a str>, member: impl FnMut(&str, Value<'a>)) {
    if let Some(Ok(params)) = params.map(Value::parse) {
        params.members(member);
    }
}

/// Appends a member of an object, whose value is JSON text.
pub(super) fn push_member(members: &mut String, name: &str, json: &str) {
    if !members.is_empty() {
        members.push(',');
    }
    push_string(members, name);
    members.push(':');
    members.push_str(json);
}

/// Returns a text as a JSON string.
pub(super) fn json_string(text: &str) -> String {
    let mut json = String::new();
    push_string(&mut json, text);
    json
}
