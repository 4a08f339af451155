//! `quell order show`: one order, with each copy it met.

use model::OrderId;
use serde_json::Value;

use crate::client::{Api, text};
use crate::escape::printable;
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

pub(super) fn run(api: &Api, format: Format, order: OrderId) -> Result<(), Failure> {
    let answer = api.get(&format!("/api/quell/orders/{order}"))?;
    match format {
        Format::Json => say::out(answer.body),
        Format::Table => say::out(describe(&answer.json)),
    }
    Ok(())
}

fn describe(order: &Value) -> String {
    let get = |name| text(order, name);
    let facts = table::facts([
        ("order", get("id")),
        ("wants", get("want")),
        ("file", get("sha")),
        ("machine", get("machineId")),
        ("state", state(order)),
        ("failure", get("failure")),
        ("stopped", format!("{} processes", get("stopped"))),
        (
            "services",
            Some(get("services")).filter(|names| !names.is_empty()).unwrap_or_else(|| "-".to_owned()),
        ),
        ("asked by", get("requestor")),
        ("why", get("comment")),
        ("created", get("created")),
        ("updated", get("updated")),
        ("begins until", get("deadline")),
        ("cancel", cancellation(&order["cancellation"])),
        ("told late", late(&order["late"])),
        ("undoes", get("undoes")),
        ("undone by", get("undoneBy")),
        ("undo would", inverse(&order["inverse"])),
    ]);
    let mut parts = vec![facts];
    parts.extend(order["waits"].as_array().into_iter().flatten().map(|hold| {
        let (machine, how) = (text(hold, "computerDnsName"), text(hold, "howToGoOn"));
        format!("waits for approval on {}: {}", printable(&machine), printable(&how))
    }));
    match order["copies"].as_array() {
        Some(copies) if !copies.is_empty() => parts.push(table_of(copies)),
        _ => {}
    }
    parts.join("\n\n")
}

/// The state, and whether some of it is done all the same.
pub(super) fn state(order: &Value) -> String {
    match order["partlyDone"].as_bool() {
        Some(true) => format!("{}, partly done", text(order, "state")),
        _ => text(order, "state"),
    }
}

fn cancellation(asked: &Value) -> String {
    if asked.is_null() {
        return "-".to_owned();
    }
    format!("asked for by {} at {}: {}", text(asked, "requestor"), text(asked, "at"), text(asked, "comment"))
}

fn late(late: &Value) -> String {
    if late.is_null() {
        return "-".to_owned();
    }
    let why = late["failure"].as_str().map_or_else(String::new, |why| format!(": {why}"));
    format!("{} at {}{why}", text(late, "state"), text(late, "at"))
}

/// What `quell order undo` would do now.
fn inverse(inverse: &Value) -> String {
    if inverse["possible"] != true {
        return format!("be refused: {}", text(inverse, "reason"));
    }
    let kept_by = text(inverse, "denyKeptBy");
    let deny = match inverse["denyEnds"].as_bool() {
        Some(true) => "let the file run again".to_owned(),
        _ if !kept_by.is_empty() => format!("leave the file denied, as other orders want it: {kept_by}"),
        _ => "change no deny".to_owned(),
    };
    match inverse["want"].as_str() {
        Some("restore") => format!("bring {} copies back, and {deny}", text(inverse, "copies")),
        Some("discard") if kept_by.is_empty() => "delete the sample".to_owned(),
        Some("discard") => format!("leave the sample, as other orders brought it: {kept_by}"),
        Some("block") => "block the file again".to_owned(),
        _ => deny,
    }
}

/// Each copy with its own result.
fn table_of(copies: &[Value]) -> String {
    table::rows(
        ["copy", "status", "reason", "vault"],
        copies.iter().map(|copy| ["path", "status", "reason", "vaultId"].map(|key| text(copy, key))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_waits_says_how_it_goes_on() {
        let text = describe(&json!({ "id": "o", "copies": [], "waits": [
            { "computerDnsName": "host1", "howToGoOn": "quell agent approve 7" },
        ] }));
        assert!(text.contains("waits for approval on host1: quell agent approve 7"), "{text}");
    }

    #[test]
    fn each_copy_has_its_line() {
        let text = describe(&json!({ "id": "o", "state": "Failed", "copies": [
            { "path": "/a", "status": "Succeeded", "reason": null, "vaultId": "v" },
            { "path": "/b", "status": "Failed", "reason": "not guarded", "vaultId": null },
        ] }));
        assert!(text.lines().any(|line| line.contains("/b") && line.contains("not guarded")), "{text}");
        assert!(!describe(&json!({ "id": "o", "copies": [] })).contains("COPY"));
        assert!(describe(&json!({ "state": "Failed", "partlyDone": true })).contains("Failed, partly done"));
    }

    #[test]
    fn what_an_undo_would_do_is_told() {
        let told = |possible, want: &str, ends, kept_by: &[&str]| {
            inverse(&json!({ "possible": possible, "want": want, "copies": 2, "denyEnds": ends,
                             "denyKeptBy": kept_by, "reason": "it is open" }))
        };
        assert_eq!(told(true, "restore", true, &[]), "bring 2 copies back, and let the file run again");
        assert!(told(true, "restore", false, &["o"]).ends_with("as other orders want it: o"));
        assert_eq!(told(true, "unblock", true, &[]), "let the file run again");
        assert_eq!(told(false, "", false, &[]), "be refused: it is open");
    }
}
