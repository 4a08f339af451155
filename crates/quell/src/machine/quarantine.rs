//! `quell machine quarantine`: stop a file on one machine and move its copies into the vault there.

use std::ffi::OsString;

use model::MachineId;
use serde_json::json;

use crate::client::comment::Comment;
use crate::client::confirm::Confirm;
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
    file: &OsString,
    (comment, confirm): (Comment, Confirm),
    wait: &Wait,
) -> Result<(), Failure> {
    let comment = comment.words()?;
    let id = Target::of(file)?.sha1_id();
    let body = json!({ "Comment": comment, "Sha1": id.to_string() });
    let answer = confirm.post(api, &format!("/api/machines/{machine}/StopAndQuarantineFile"), body)?;
    let order = text(&answer.json, "id");
    follow::submitted(api, format, &answer, &order, &format!("{id} is to be quarantined on {machine}"), wait)
}
