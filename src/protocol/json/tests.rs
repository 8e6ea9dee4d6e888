use super::*;

/// The last member `known` of an object.
fn known(text: &str) -> Option<&str> {
    let mut known = None;
    let is_object = Value::parse(text).unwrap().members(|key, value| {
        if key == "known" {
            known = Some(value.as_json());
        }
    });
    assert!(is_object);
    known
}

fn value(json: &str) -> Value<'_> {
    Value::parse(json).unwrap()
}

#[test]
fn a_value_is_kept_as_it_was_written() {
    assert_eq!(known(r#"{"a":1,"known": 1e999 ,"b":[]}"#), Some("1e999"));
    assert_eq!(known(r#"{"known":"\ud800"}"#), Some(r#""\ud800""#));
    assert_eq!(known("{}"), None);
    assert_eq!(value(" \t\r\n[1, 2] ").as_json(), "[1, 2]");
}

#[test]
fn a_member_that_comes_twice_is_given_twice() {
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
    let deep = "{\"a\":[".repeat(100_000);
    assert_eq!(Value::parse(&deep), Err(SyntaxError::Incomplete));
}

#[test]
fn errors_say_where() {
    for (text, error) in [
        ("", SyntaxError::Incomplete),
        (" ", SyntaxError::Incomplete),
        ("{\"a\":", SyntaxError::Incomplete),
        ("\"abc", SyntaxError::Incomplete),
        ("hello", SyntaxError::At(0)),
        ("[1,]", SyntaxError::At(3)),
        ("{}}", SyntaxError::At(2)),
        ("[01]", SyntaxError::At(2)),
        ("\"a\nb\"", SyntaxError::At(2)),
        ("\"é\\x\"", SyntaxError::At(4)),
    ] {
        assert_eq!(Value::parse(text), Err(error), "{text}");
    }
    assert_eq!(SyntaxError::At(2).to_string(), "is not JSON from byte 3 on");
}

/// Whether serde_json, which read none of this code, takes a text.
fn serde_takes(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[test]
fn what_is_json_is_what_others_take_for_it() {
    let long = "é".repeat(40);
    for text in [
        "0",
        "-0",
        "-",
        "00",
        "1.",
        ".1",
        "1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "1e",
        "1e+",
        "-1.0e10",
        "0x1",
        "+1",
        "NaN",
        "Infinity",
        "1 2",
        "true",
        "tru",
        "truex",
        "false",
        "null",
        "nul",
        "\"\"",
        "\"",
        "\"\\\"",
        "\"\\u12g4\"",
        "\"\\u123\"",
        "\"\\uD800\"",
        "\"\\x\"",
        "\"\\/\"",
        "\"\t\"",
        "\"\u{7f}\"",
        "[]",
        "[",
        "]",
        "[,]",
        "[1,]",
        "[1 2]",
        "[1}",
        "{]",
        "{}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[{\"b\":[]}]}",
        "[[],{},[{}]]",
        "\u{feff}{}",
        "\u{a0}1",
        "\u{c}1",
        " [ 1 , { \"a\" : null } ] ",
        "'a'",
        "/**/1",
        "[1]x",
        &format!("\"{long}\""),
        &format!("\"{long}"),
        &format!("\"{long}\n{long}\""),
        &format!("\"{long}\\n{long}\\\"{long}\""),
    ] {
        assert_eq!(Value::parse(text).is_ok(), serde_takes(text), "{text}");
    }
}

#[test]
fn mutations_are_json_when_others_take_them_for_it() {
    const TEXT: &str = r#"{"type":"send","id":-12.5e3,"payload":{"a":[true,null,{}],"b":"x\u00e9\n a longer text"}}"#;
    let mut random = fastrand::Rng::with_seed(1);
    let mut taken = 0;
    for _ in 0..20_000 {
        let mut text = TEXT.as_bytes().to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(0..text.len());
            match random.u8(0..3) {
                0 => text[at] = *random.choice(br#"{}[]",:\u0e1-.tn \n"#).unwrap(),
                1 => drop(text.remove(at)),
                _ => text.swap(at, random.usize(0..TEXT.len() - 4)),
            }
        }
        let text = String::from_utf8(text).unwrap();
        assert_eq!(Value::parse(&text).is_ok(), serde_takes(&text), "{text}");
        taken += usize::from(serde_takes(&text));
    }
    assert!(taken > 1000, "{taken}");
}

#[test]
fn what_is_no_object_has_no_members_and_what_is_no_array_no_elements() {
    for json in ["1", "null", "\"x\"", "[[1]]"] {
        assert!(!value(json).members(|_, _| panic!("a member")), "{json}");
    }
    for json in ["1", "null", "\"x\"", "{\"a\":1}"] {
        assert!(!value(json).elements(|_| panic!("an element")), "{json}");
    }
    let mut elements = Vec::new();
    assert!(value(" [1 , [2,3],{}] ").elements(|each| elements.push(each.as_json())));
    assert_eq!(elements, ["1", "[2,3]", "{}"]);
}

#[test]
fn strings_are_decoded_and_other_values_are_none() {
    assert_eq!(value(r#""plain""#).string().unwrap(), "plain");
    assert_eq!(value(r#""\"\u00e9\\""#).string().unwrap(), "\"é\\");
    assert_eq!(value(r#""\ud800""#).string(), None);
    assert_eq!(value("12").string(), None);
    assert!(value(r#""\ud800""#).is_string());
}

#[test]
fn integers_have_no_limit_but_counts_do() {
    for json in ["0", "-0", "123456789012345678901234567890", "-5"] {
        assert!(value(json).is_integer(), "{json}");
    }
    for json in ["1.0", "1e3", "\"1\"", "null"] {
        assert!(!value(json).is_integer(), "{json}");
        assert_eq!(value(json).count(), None, "{json}");
    }
    assert_eq!(value("18446744073709551615").count(), Some(u64::MAX));
    assert_eq!(value("18446744073709551616").count(), None);
    assert_eq!(value("-1").count(), None);
}

#[test]
fn each_kind_of_value_has_a_name() {
    let kinds =
        ["{}", "[]", r#""""#, "true", "false", "null", "-1", "0"].map(|json| value(json).kind());
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
