//! `quell order undo`: another order that takes the first one back.

use model::OrderId;
use model::act::Terms;
use serde_json::json;

use crate::client::comment::Comment;
use crate::client::confirm::Confirm;
use crate::client::wait::Wait;
use crate::client::{Api, text};
use crate::failure::Failure;
use crate::output::Format;

use super::follow;

pub(super) fn run(
    api: &Api,
    format: Format,
    order: OrderId,
    terms: Terms,
    (comment, confirm): (Comment, Confirm),
    wait: &Wait,
) -> Result<(), Failure> {
    let body = json!({
        "Comment": comment.words()?,
        "Beside": terms.beside,
        "KeepPrivileges": terms.keep_privileges,
    });
    // The undo of an unblock blocks again, and asks what every block asks.
    let answer = confirm.post(api, &format!("/api/quell/orders/{order}/undo"), body)?;
    let id = text(&answer.json, "id");
    follow::submitted(api, format, &answer, &id, &format!("{order} is to be undone"), wait)
}
