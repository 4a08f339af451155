//! `quell machine show`.

use model::MachineId;

use crate::client::{Api, text};
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

pub(super) fn run(api: &Api, format: Format, machine: MachineId) -> Result<(), Failure> {
    let answer = api.get(&format!("/api/machines/{machine}"))?;
    let get = |key| text(&answer.json, key);
    let ours = |key| text(&answer.json["quell"], key);
    let guard = |key| text(&answer.json["quell"]["guard"], key);
    match format {
        Format::Json => say::out(&answer.body),
        Format::Table => say::out(table::facts([
            ("id", get("id")),
            ("name", get("computerDnsName")),
            ("health", get("healthStatus")),
            ("system", format!("{} {}", get("osPlatform"), get("osVersion"))),
            ("kernel", ours("kernel")),
            ("address", get("lastIpAddress")),
            ("agent", get("agentVersion")),
            ("guard", ours("guardLevel")),
            ("guard works by", guard("mechanism")),
            ("guard's notice", guard("notice")),
            ("other blockers", guard("rivals")),
            ("denied files running", guard("runningDenied")),
            ("guarded", ours("guarded")),
            ("first sweep complete", ours("firstSweepComplete")),
            ("generation", ours("generation")),
            ("operator key", ours("operatorKey")),
            ("first seen", get("firstSeen")),
            ("last seen", get("lastSeen")),
        ])),
    }
    Ok(())
}
