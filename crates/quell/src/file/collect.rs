//! `quell file collect`: a copy's bytes are to come from a machine to the server.

use model::MachineId;
use serde_json::json;

use crate::client::target::Target;
use crate::client::wait::Wait;
use crate::client::{Api, text};
use crate::failure::Failure;
use crate::order::follow;
use crate::output::Format;

pub(super) fn run(
    api: &Api,
    format: Format,
    machine: MachineId,
    target: &Target,
    comment: &str,
    wait: &Wait,
) -> Result<(), Failure> {
    let id = target.sha1_id();
    let body = json!({ "Comment": comment, "Sha1": id.to_string() });
    let answer = api.post(&format!("/api/quell/machines/{machine}/collect"), &body)?;
    let order = text(&answer.json, "id");
    follow::submitted(api, format, &answer, &order, &format!("{id} is to be collected from {machine}"), wait)
}
