//! `quell operator list`: what waits for approval, on all machines.

use crate::client::{Api, list, text};
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

pub(super) fn run(api: &Api, format: Format) -> Result<(), Failure> {
    let answer = api.get("/api/quell/holds")?;
    match format {
        Format::Json => say::out(answer.body),
        Format::Table => say::out(table::rows(
            ["id", "machine", "what", "file", "runs there", "since"],
            list(&answer.json).iter().map(|hold| {
                let runs = match &hold["crowds"][0] {
                    serde_json::Value::Null => "-".to_owned(),
                    crowd => format!("{} ({} processes)", text(crowd, "path"), text(crowd, "processes")),
                };
                let [id, machine, what, file, since] =
                    ["id", "computerDnsName", "what", "identifier", "since"].map(|key| text(hold, key));
                [id, machine, what, file, runs, since]
            }),
        )),
    }
    Ok(())
}
