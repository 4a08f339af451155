//! Whether an answer has the shape of an example: its keys in their order, their types, what is null.

use serde_json::Value;

/// What an answer may do that its example does not.
#[derive(Clone, Copy, Default)]
pub(crate) struct Liberties {
    /// Keys that it has in addition.
    pub(crate) extra: &'static [&'static str],
    /// Keys that may be null, though not in the example.
    pub(crate) nullable: &'static [&'static str],
}

/// Key by key.
#[track_caller]
pub(crate) fn assert_like(example: &str, answer: &str, liberties: Liberties) {
    let own: Vec<_> =
        keys(answer).into_iter().filter(|key| !liberties.extra.contains(&key.as_str())).collect();
    assert_eq!(own, keys(example), "the keys and their order: {answer}");
    let read =
        |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let (example, answer) = (read(example), read(answer));
    for key in own {
        let (expected, found) = (&example[&key], &answer[&key]);
        if found.is_null() && liberties.nullable.contains(&key.as_str()) {
            continue;
        }
        assert_eq!(kind(found), kind(expected), "the type of {key}: {found}");
        assert_eq!(is_time(expected), is_time(found), "{key} is a moment, or is not: {found}");
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "fraction",
        Value::Number(_) => "integer",
        Value::String(_) => "text",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `2017-12-04T13:06:23.4502191Z`: UTC, and none to seven digits of a fraction.
pub(crate) fn is_time(value: &Value) -> bool {
    let Some(text) = value.as_str().and_then(|text| text.strip_suffix('Z')) else { return false };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let pattern: String = whole.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    pattern == "0000-00-00T00:00:00"
        && (1..=7).contains(&fraction.len())
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

/// The outermost object's keys, as they are written.
pub(crate) fn keys(text: &str) -> Vec<String> {
    let (mut keys, mut depth, mut rest) = (Vec::new(), 0, text);
    while let Some(at) = rest.find(['{', '}', '[', ']', '"']) {
        let (mark, after) = (rest.as_bytes()[at], &rest[at + 1..]);
        rest = after;
        match mark {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {
                let end = end_of_text(after);
                rest = &after[end + 1..];
                if depth == 1 && rest.trim_start().starts_with(':') {
                    keys.push(after[..end].to_owned());
                }
            }
        }
    }
    keys
}

fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.expect("a text ends")
}

#[test]
fn keys_are_read_in_their_order_and_only_the_outermost() {
    assert_eq!(keys(r#"{"b": "a\"{", "a":[{"c":1}],"@d" : {"e":"f"}}"#), ["b", "a", "@d"]);
}

#[test]
fn moments_are_told_from_other_texts() {
    for text in ["2017-12-04T13:06:23.4502191Z", "2017-12-04T13:06:23Z", "2017-12-04T13:06:23.4Z"] {
        assert!(is_time(&text.into()), "{text}");
    }
    for text in
        ["", "Z", "2017-12-04T13:06:23.45021912Z", "2017-12-04T13:06:23.Z", "2017-12-04T13:06:23+00:00"]
    {
        assert!(!is_time(&text.into()), "{text}");
    }
}
