//! What is told of an order after it was submitted, and while it goes on.

use serde_json::Value;

use crate::client::wait::{self, Wait};
use crate::client::{Answer, Api, text};
use crate::escape::printable;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

/// Tells the new order: its id on stdout, words beside it; and follows it if that was asked for. In JSON, the
/// one body on stdout is the answer to the submission, or with `--wait` the order as it ended.
pub(crate) fn submitted(
    api: &Api,
    format: Format,
    answer: &Answer,
    order: &str,
    words: &str,
    wait: &Wait,
) -> Result<(), Failure> {
    match format {
        Format::Table => {
            say::aside(format!("ordered: {}", printable(words)));
            say::out(printable(order));
        }
        Format::Json if !wait.wait => say::out(&answer.body),
        Format::Json => {}
    }
    if !wait.wait {
        if format == Format::Table {
            say::aside(format!("follow it: quell order watch {}", printable(order)));
        }
        return Ok(());
    }
    let mut told = Vec::new();
    let ended = wait::until_final(api, order, Some(wait.limit()), |answer| {
        if format == Format::Table {
            changes(&answer.json, &mut told).iter().for_each(say::aside);
        }
    })?;
    if format == Format::Json {
        say::out(&ended.body);
    }
    wait::verdict(&ended.json)
}

/// A line for the state and for each copy, as far as it was not told before.
pub(super) fn changes(order: &Value, told: &mut Vec<String>) -> Vec<String> {
    let failure =
        order["failure"].as_str().map_or_else(String::new, |reason| format!(": {}", printable(reason)));
    let state = format!("{}{failure}", printable(&super::show::state(order)));
    let copies = order["copies"].as_array().map_or(&[][..], Vec::as_slice).iter().map(|copy| {
        let reason =
            copy["reason"].as_str().map_or_else(String::new, |reason| format!(" ({})", printable(reason)));
        format!("  {} {}{reason}", printable(&text(copy, "status")), printable(&text(copy, "path")))
    });
    let waits = order["waits"].as_array().map_or(&[][..], Vec::as_slice).iter().map(|hold| {
        let (machine, how) = (text(hold, "computerDnsName"), text(hold, "howToGoOn"));
        format!("  waits for approval on {}: {}", printable(&machine), printable(&how))
    });
    let fresh: Vec<String> =
        std::iter::once(state).chain(waits).chain(copies).filter(|line| !told.contains(line)).collect();
    told.extend_from_slice(&fresh);
    fresh
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_new_is_told() {
        let copy = |status: &str| json!({ "path": "/a\n", "status": status, "reason": null });
        let mut told = Vec::new();
        let mut order = json!({ "state": "Pending", "failure": null, "copies": [copy("InProgress")] });
        assert_eq!(changes(&order, &mut told), ["Pending", "  InProgress /a\\n"]);
        assert!(changes(&order, &mut told).is_empty());
        order["copies"][0] = copy("Succeeded");
        assert_eq!(changes(&order, &mut told), ["  Succeeded /a\\n"]);
        order["state"] = "Succeeded".into();
        assert_eq!(changes(&order, &mut told), ["Succeeded"]);
    }
}
