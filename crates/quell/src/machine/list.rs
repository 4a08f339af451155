//! `quell machine list`.

use crate::client::{Api, list, text};
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

pub(super) fn run(api: &Api, format: Format) -> Result<(), Failure> {
    let answer = api.get("/api/machines")?;
    match format {
        Format::Json => say::out(answer.body),
        Format::Table => say::out(table::rows(
            ["id", "name", "health", "guard", "generation", "last seen"],
            list(&answer.json).iter().map(|machine| {
                let get = |key| text(machine, key);
                let ours = |key| text(&machine["quell"], key);
                [
                    get("id"),
                    get("computerDnsName"),
                    get("healthStatus"),
                    ours("guardLevel"),
                    ours("generation"),
                    get("lastSeen"),
                ]
            }),
        )),
    }
    Ok(())
}
