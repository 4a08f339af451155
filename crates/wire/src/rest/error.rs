//! The one shape of every refusal.

use serde::Serialize;

/// Why a call was refused.
#[derive(Clone, Debug, Serialize)]
pub struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Clone, Debug, Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    target: &'a str,
}

impl<'a> Envelope<'a> {
    /// `target` is the id under which the call stands in the log.
    pub const fn new(code: &'a str, message: &'a str, target: &'a str) -> Self {
        Self { error: Body { code, message, target } }
    }

    /// Compact, as clients compare the text `"message":"…"`.
    pub fn to_json(&self) -> String {
        // Three strings are always representable.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_compact() {
        insta::assert_snapshot!(
            Envelope::new("ResourceNotFound", "File 1 was not found", "t").to_json(),
            @r#"{"error":{"code":"ResourceNotFound","message":"File 1 was not found","target":"t"}}"#
        );
    }
}
