//! `quell file where`: on which machines a file lies, and where there.

use serde_json::Value;

use crate::client::target::Target;
use crate::client::{Api, list, text};
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

pub(super) fn run(api: &Api, format: Format, target: &Target) -> Result<(), Failure> {
    let answer = api.get(&format!("/api/quell/files/{}/copies", target.id()))?;
    match format {
        Format::Json => say::out(answer.body),
        Format::Table if list(&answer.json).is_empty() => say::aside("no copy of it is known"),
        Format::Table => say::out(describe(&answer.json)),
    }
    Ok(())
}

fn describe(copies: &Value) -> String {
    table::rows(
        ["machine", "path", "state", "denials", "last seen"],
        list(copies).iter().map(|copy| {
            let get = |key| text(copy, key);
            [get("computerDnsName"), get("path"), state(copy).to_owned(), get("denials"), get("lastSeen")]
        }),
    )
}

fn state(copy: &Value) -> &'static str {
    match (copy["present"].as_bool(), copy["running"].as_bool()) {
        (Some(false), _) => "gone",
        (_, Some(true)) => "running",
        _ => "at rest",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_copy_is_there_or_runs_or_is_gone() {
        assert_eq!(state(&json!({ "present": true, "running": false })), "at rest");
        assert_eq!(state(&json!({ "present": true, "running": true })), "running");
        assert_eq!(state(&json!({ "present": false, "running": true })), "gone");
    }

    #[test]
    fn a_path_cannot_steer_the_terminal() {
        let text = describe(&json!({ "value": [{ "computerDnsName": "h", "path": "/a\u{1b}[2J" }] }));
        assert!(text.contains("/a\\u{1b}[2J") && !text.contains('\u{1b}'));
    }
}
