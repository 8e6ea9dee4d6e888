use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::*;

/// What of an object each test looks at: the last `known` member.
#[derive(Default)]
struct Known<'a>(Option<&'a RawValue>);

impl<'de> Members<'de> for Known<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "known" => self.0 = Some(map.next_value()?),
            _ => pass_over(map)?,
        }
        Ok(())
    }
}

fn known(text: &str) -> Option<&str> {
    Object::<Known<'_>>::read(text)
        .unwrap()
        .0
        .map(RawValue::get)
}

#[test]
fn a_value_is_kept_as_it_was_written() {
    assert_eq!(known(r#"{"a":1,"known": 1e999 ,"b":[]}"#), Some("1e999"));
    assert_eq!(known(r#"{"known":"\ud800"}"#), Some(r#""\ud800""#));
    assert_eq!(known("{}"), None);
}

#[test]
fn of_a_member_that_comes_twice_the_last_counts() {
    assert_eq!(known(r#"{"known":1,"known":2}"#), Some("2"));
}

#[test]
fn a_key_written_with_escapes_is_the_same_key() {
    assert_eq!(known(r#"{"kno\u0077n":1}"#), Some("1"));
}

#[test]
fn a_key_that_is_no_text_is_passed_over() {
    assert_eq!(known(r#"{"\ud800":0,"known":1}"#), Some("1"));
}

#[test]
fn deep_nesting_needs_no_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!(r#"{{"known":{deep},"other":{deep}}}"#);
    assert_eq!(known(&text), Some(deep.as_str()));
    assert!(is_json(&deep).is_ok());
    assert!(is_json(&"[".repeat(1_000_000)).is_err());
}

#[test]
fn what_is_no_object_or_more_than_one_is_an_error() {
    for text in ["", "[]", "1", "null", "{", "{}{}", r#"{"a"}"#, r#"{1:2}"#] {
        assert!(Object::<Known<'_>>::read(text).is_err(), "{text}");
    }
}

#[test]
fn strings_are_decoded_and_other_values_are_none() {
    let raw = |json: &str| serde_json::from_str::<Box<RawValue>>(json).unwrap();
    assert_eq!(string(&raw(r#""plain""#)).unwrap(), "plain");
    assert_eq!(string(&raw(r#""\"\u00e9\\""#)).unwrap(), "\"é\\");
    assert_eq!(string(&raw(r#""\ud800""#)), None);
    assert_eq!(string(&raw("12")), None);
    assert!(is_string(&raw(r#""\ud800""#)));
}

#[test]
fn each_kind_of_value_has_a_name() {
    let kind = |json: &str| kind_of(&serde_json::from_str::<Box<RawValue>>(json).unwrap());
    let kinds = ["{}", "[]", r#""""#, "true", "false", "null", "-1", "0"].map(kind);
    let names = [
        "an object",
        "an array",
        "a string",
        "a boolean",
        "a boolean",
        "null",
        "a number",
        "a number",
    ];
    assert_eq!(kinds, names);
}

#[test]
fn quoted_text_is_short_and_on_one_line() {
    assert_eq!(shorten("a\nb"), "a\\nb");
    let long = shorten(&"é".repeat(1000));
    assert_eq!(long.chars().count(), crate::limits::QUOTED_CHARS + 1);
    assert!(long.ends_with('…'));
}

#[test]
fn every_character_survives_writing_and_reading() {
    let text: String = (0..0x300)
        .chain([0x2028, 0xfffd, 0x1f600, 0x10ffff])
        .filter_map(char::from_u32)
        .collect();
    let mut json = String::new();
    push_string(&mut json, &text);
    assert!(!json.contains(['\n', '\r']));
    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
}

#[test]
fn objects_are_written_member_by_member() {
    let mut out = Vec::new();
    write_object(&mut out, |object| {
        object.object("empty", |_| {});
        object.raw("raw", "[1]");
        object.string("text", "a\"b");
        object.number("number", 7);
        object.array("none", [""; 0], push_string);
        object.array("two", ["x", "y"], push_string);
    });
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"empty":{},"raw":[1],"text":"a\"b","number":7,"none":[],"two":["x","y"]}"#
    );
}
