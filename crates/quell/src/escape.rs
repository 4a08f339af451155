//! Names and paths of others, on somebody's terminal.

use std::borrow::Cow;

/// The text with everything escaped that could steer a terminal or turn the order of its letters around.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if steers(letter) { safe.extend(letter.escape_default()) } else { safe.push(letter) }
    }
    safe.into()
}

/// JSON with everything escaped in its texts that [`printable`] would escape; JSON still, that says the same.
#[cfg(feature = "client")]
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    // Those below are escaped in any JSON, and are line breaks between its values.
    let is_raw = |letter: char| letter >= '\u{7f}' && steers(letter);
    if !json.chars().any(is_raw) {
        return json.into();
    }
    let mut safe = String::with_capacity(json.len() + 8);
    for letter in json.chars() {
        // None of them is above U+FFFF.
        if is_raw(letter) {
            safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            safe.push(letter);
        }
    }
    safe.into()
}

/// Control characters (also those above 0x7f), and the marks that change the direction of writing.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in ["/opt/a b", "größe", "文件", "C:\\Users\\x", ""] {
            assert!(matches!(printable(name), Cow::Borrowed(same) if same == name));
        }
    }

    #[cfg(feature = "client")]
    #[test]
    fn json_stays_json() {
        let json = "{\n\"a\u{9b}\": \"\u{202e}größe\\n\u{7f}\"\n}";
        let safe = printable_json(json);
        assert!(!safe.chars().any(|letter| letter != '\n' && steers(letter)), "{safe}");
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(read(&safe), read(json));
        assert!(matches!(printable_json("{\n}"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_steers_is_spelled_out() {
        let table = [
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("\u{7f}", "\\u{7f}"),
            ("a\u{202e}fdp.exe", "a\\u{202e}fdp.exe"),
        ];
        for (name, expected) in table {
            assert_eq!(printable(name), expected);
        }
    }
}
