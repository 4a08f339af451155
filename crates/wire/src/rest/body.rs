//! The body of an action: a JSON object, its keys read without regard to case, unknown ones ignored.

use serde_json::{Map, Value};

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is no JSON object, or a value in it has the wrong type.
    #[error("Request body is incorrect")]
    Incorrect,
    /// A required key is not there, or has no content.
    #[error("Parameter {0} is missing")]
    Missing(&'static str),
}

/// A JSON object that somebody sent.
#[derive(Clone, Debug)]
pub struct Body(Map<String, Value>);

impl Body {
    /// Reads it, whatever type the sender said it has.
    pub fn parse(bytes: &[u8]) -> Result<Self, BodyError> {
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        match serde_json::from_slice(text) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            _ => Err(BodyError::Incorrect),
        }
    }

    /// The text under `key`, which must be there and hold more than blanks.
    pub fn required(&self, key: &'static str) -> Result<&str, BodyError> {
        match self.value(key) {
            None | Some(Value::Null) => Err(BodyError::Missing(key)),
            Some(Value::String(text)) if text.trim().is_empty() => Err(BodyError::Missing(key)),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(BodyError::Incorrect),
        }
    }

    /// The text under `key`, if there is one that holds more than blanks.
    pub fn optional(&self, key: &'static str) -> Result<Option<&str>, BodyError> {
        match self.required(key) {
            Ok(text) => Ok(Some(text)),
            Err(BodyError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The truth value under `key`; what is not there is false.
    pub fn flag(&self, key: &'static str) -> Result<bool, BodyError> {
        match self.value(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(BodyError::Incorrect),
        }
    }

    /// The documented spelling wins over others, if several are there.
    fn value(&self, key: &str) -> Option<&Value> {
        let other = || self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        self.0.get(key).or_else(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_any_case_and_unknown_ones_ignored() {
        let body = Body::parse(br#"{"comment":"case 7","SHA1":"ab","Extra":[1]}"#).unwrap();
        assert_eq!(body.required("Comment"), Ok("case 7"));
        assert_eq!(body.required("Sha1"), Ok("ab"));
    }

    #[test]
    fn a_flag_is_true_or_false() {
        let flag = |text: &str| Body::parse(text.as_bytes()).unwrap().flag("Confirm");
        assert_eq!(flag(r#"{"confirm":true}"#), Ok(true));
        for no in ["{}", r#"{"Confirm":null}"#, r#"{"Confirm":false}"#] {
            assert_eq!(flag(no), Ok(false), "{no}");
        }
        assert_eq!(flag(r#"{"Confirm":"true"}"#), Err(BodyError::Incorrect));
    }

    #[test]
    fn the_documented_spelling_wins() {
        let body = Body::parse(br#"{"COMMENT":"no","Comment":"yes","comment":"no"}"#).unwrap();
        assert_eq!(body.required("Comment"), Ok("yes"));
    }

    #[test]
    fn what_is_missing_is_named() {
        for text in ["{}", r#"{"Comment":null}"#, r#"{"Comment":""}"#, r#"{"Comment":" \t"}"#] {
            let missing = Body::parse(text.as_bytes()).unwrap().required("Comment").unwrap_err();
            assert_eq!(missing.to_string(), "Parameter Comment is missing", "{text}");
        }
    }

    #[test]
    fn what_is_no_object_of_texts_is_incorrect() {
        let deep = "[".repeat(200_000);
        for text in ["", "[]", "null", "\"Comment\"", "{", "{\"Comment\":\"a\"} x", "Comment=a", &deep] {
            assert_eq!(Body::parse(text.as_bytes()).unwrap_err(), BodyError::Incorrect);
        }
        assert!(Body::parse(b"\xff\xfe").is_err());
        let number = Body::parse(br#"{"Comment":7}"#).unwrap();
        assert_eq!(number.required("Comment"), Err(BodyError::Incorrect));
    }

    #[test]
    fn a_flag_is_true_only_if_it_says_so() {
        let body = Body::parse(br#"{"beside":true,"KeepPrivileges":false,"Other":"true"}"#).unwrap();
        assert_eq!(body.flag("Beside"), Ok(true));
        assert_eq!(body.flag("KeepPrivileges"), Ok(false));
        assert_eq!(body.flag("Absent"), Ok(false));
        assert_eq!(body.flag("Other"), Err(BodyError::Incorrect));
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert!(Body::parse(b"\xEF\xBB\xBF{}").is_ok());
    }
}
