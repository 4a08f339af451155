//! `quell order show`: one order, with each copy it met.

use model::OrderId;
use serde_json::Value;

use crate::client::{Api, text};
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
    let names = [
        "id",
        "want",
        "sha",
        "machineId",
        "state",
        "failure",
        "requestor",
        "comment",
        "created",
        "updated",
        "undoes",
    ];
    let labels = [
        "order", "wants", "file", "machine", "state", "failure", "asked by", "why", "created", "updated",
        "undoes",
    ];
    let facts = table::facts(labels.into_iter().zip(names.map(|name| text(order, name))));
    let mut parts = vec![facts];
    parts.extend(order["waits"].as_array().into_iter().flatten().map(|hold| {
        let (machine, how) = (text(hold, "computerDnsName"), text(hold, "howToGoOn"));
        format!("waits for approval on {machine}: {how}")
    }));
    match order["copies"].as_array() {
        Some(copies) if !copies.is_empty() => parts.push(table_of(copies)),
        _ => {}
    }
    parts.join("\n\n")
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
    }
}
