//! `quell order list`.

use crate::client::{Api, list, text};
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

pub(super) fn run(api: &Api, format: Format) -> Result<(), Failure> {
    let answer = api.get("/api/quell/orders")?;
    match format {
        Format::Json => say::out(answer.body),
        Format::Table => say::out(table::rows(
            ["order", "wants", "file", "machine", "state", "asked by", "why", "created"],
            list(&answer.json).iter().map(|order| {
                let get = |key| text(order, key);
                let state = super::show::state(order);
                let (file, machine) = (get("sha"), get("machineId"));
                [
                    get("id"),
                    get("want"),
                    file,
                    machine,
                    state,
                    get("requestor"),
                    get("comment"),
                    get("created"),
                ]
            }),
        )),
    }
    Ok(())
}
