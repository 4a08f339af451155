//! `quell file block` and `unblock`: whether a file may run in the organization.

use model::FileId;
use serde_json::json;

use crate::client::confirm::Confirm;
use crate::client::target::Target;
use crate::client::wait::{self, Wait};
use crate::client::{Answer, Api};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

/// A path is blocked by its SHA-256: that and no other file.
pub(super) fn block(
    api: &Api,
    format: Format,
    target: &Target,
    comment: &str,
    confirm: Confirm,
    wait: &Wait,
) -> Result<(), Failure> {
    let body = json!({ "Comment": comment });
    let answer = confirm.post(api, &format!("/api/files/{}/block", target.id()), body)?;
    tell(api, format, &answer, "block", target.id(), wait)
}

/// A path is unblocked by each of its names: it is meant to run again, whoever blocked it and how.
pub(super) fn unblock(
    api: &Api,
    format: Format,
    target: &Target,
    comment: &str,
    wait: &Wait,
) -> Result<(), Failure> {
    let mut missing = None;
    let mut ended = 0;
    for id in target.ids() {
        match api.post(&format!("/api/files/{id}/unblock"), &json!({ "Comment": comment })) {
            Ok(answer) => {
                ended += 1;
                tell(api, format, &answer, "unblock", id, wait)?;
            }
            Err(failure) if failure.exit == Exit::NotFound => missing = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    match missing {
        Some(failure) if ended == 0 => {
            Err(failure.hint("it is not blocked by that name; see its other names: quell file show HASH"))
        }
        _ => Ok(()),
    }
}

/// The order that was just made is among so many, whatever others ask for meanwhile.
const NEWEST: usize = 100;

/// The order's id goes to stdout, the words beside it.
fn tell(
    api: &Api,
    format: Format,
    answer: &Answer,
    verb: &str,
    id: FileId,
    wait: &Wait,
) -> Result<(), Failure> {
    if format == Format::Json {
        say::out(&answer.body);
    }
    // The answer's shape is the contract's and has no room for the order's id.
    let orders = api.get(&format!("/api/quell/orders?$top={NEWEST}"))?;
    let order = wait::newest(&orders.json, verb, &id.to_string());
    if format == Format::Table {
        say::aside(match verb {
            "block" => format!("blocked: {id} may not run"),
            _ => format!("unblocked: {id} may run again"),
        });
        if let Some(order) = &order {
            say::out(order);
        }
    }
    match order.filter(|_| wait.wait) {
        Some(order) => wait::verdict(&wait::until_final(api, &order, Some(wait.limit()), |_| {})?.json),
        None => Ok(()),
    }
}
