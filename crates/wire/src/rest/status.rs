//! `Status`, our own: the server lives.

use serde::Serialize;

/// The server lives. Says nothing more, as anybody may ask.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Status {
    status: &'static str,
}

impl Status {
    /// All is well.
    pub const OK: Self = Self { status: "ok" };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_ok_and_nothing_more() {
        insta::assert_snapshot!(serde_json::to_string(&Status::OK).unwrap(), @r#"{"status":"ok"}"#);
    }
}
