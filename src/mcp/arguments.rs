//! The arguments of a call: checks them against the tool's parameters.

use std::borrow::Cow;
use std::time::Duration;

use crate::limits;
use crate::protocol::json::{Value, shorten};

use super::tool::{Kind, Parameter, Tool};

/// The arguments of a call, each of the kind that its parameter has.
#[derive(Debug)]
pub(super) struct Arguments<'a>(Vec<(&'static str, Value<'a>)>);

impl<'a> Arguments<'a> {
    /// Checks the arguments of a call of this tool: the JSON text of an object.
    ///
    /// # Errors
    /// What is wrong, for the model that has chosen them.
    pub(super) fn check(tool: Tool, json: &'a str) -> Result<Self, String> {
        let parameters = tool.parameters();
        let mut given: Vec<(&'static str, Value<'a>)> = Vec::new();
        let mut wrong = None;
        let value = Value::parse(json).map_err(|error| error.to_string())?;
        value.members(|key, value| {
            let Some(parameter) = parameters.iter().find(|known| known.name == key) else {
                wrong.get_or_insert_with(|| unknown(tool, key));
                return;
            };
            // Models give null for what they leave out.
            if value.unless_null().is_none() {
                return;
            }
            if let Err(error) = parameter.check(value) {
                wrong.get_or_insert(error);
            }
            given.retain(|(name, _)| *name != parameter.name);
            given.push((parameter.name, value));
        });
        let missing = parameters
            .iter()
            .filter(|known| known.is_required)
            .find(|known| !given.iter().any(|(name, _)| *name == known.name));
        match (wrong, missing) {
            (Some(error), _) => Err(error),
            (None, Some(missing)) => Err(format!("{} needs {:?}", tool.name(), missing.name)),
            (None, None) => Ok(Arguments(given)),
        }
    }

    fn get(&self, name: &str) -> Option<Value<'a>> {
        let found = self.0.iter().find(|(given, _)| *given == name);
        found.map(|(_, value)| *value)
    }

    /// Returns a text, empty where none is given.
    pub(super) fn text(&self, name: &str) -> Cow<'a, str> {
        self.get(name).and_then(Value::string).unwrap_or_default()
    }

    /// Returns what to send: the JSON text of an object, from `text` or `json`.
    ///
    /// # Errors
    /// Neither or both are given.
    pub(super) fn payload(&self) -> Result<String, String> {
        match (self.get("text"), self.get("json")) {
            (Some(text), None) => Ok(format!(r#"{{"text":{}}}"#, text.as_json())),
            (None, Some(json)) => Ok(json.as_json().to_owned()),
            (None, None) => Err("give either text or json: what to say".to_owned()),
            (Some(_), Some(_)) => Err("give either text or json, not both".to_owned()),
        }
    }

    /// Returns a wait, if one is given.
    pub(super) fn seconds(&self, name: &str) -> Option<Duration> {
        let seconds = self.get(name).and_then(seconds)?;
        Some(Duration::from_secs_f64(seconds))
    }

    /// Returns whether a switch is on, if it is given.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| value.as_json() == "true")
    }
}

impl Parameter {
    fn check(&self, value: Value<'_>) -> Result<(), String> {
        let name = self.name;
        let expected = match self.kind {
            Kind::Text if value.string().is_some_and(|text| !text.is_empty()) => return Ok(()),
            Kind::Object if value.as_json().starts_with('{') => return Ok(()),
            Kind::Flag if matches!(value.as_json(), "true" | "false") => return Ok(()),
            Kind::Seconds if seconds(value).is_some() => return Ok(()),
            Kind::Text => "a text that is not empty".to_owned(),
            Kind::Object => "an object".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Seconds => {
                let most = limits::MCP_LONGEST_WAIT.as_secs();
                format!("a number of seconds from 0 to {most}")
            }
        };
        let given = shorten(value.as_json());
        Err(format!("{name:?} must be {expected}; {given} was given"))
    }
}

fn seconds(value: Value<'_>) -> Option<f64> {
    let seconds: f64 = value.as_json().parse().ok()?;
    let most = limits::MCP_LONGEST_WAIT.as_secs_f64();
    (0.0..=most).contains(&seconds).then_some(seconds)
}

fn unknown(tool: Tool, key: &str) -> String {
    let known: Vec<_> = tool.parameters().iter().map(|known| known.name).collect();
    let takes = match known.as_slice() {
        [] => "nothing".to_owned(),
        known => known.join(", "),
    };
    let name = tool.name();
    format!("{name} has no \"{}\"; it takes {takes}", shorten(key))
}
