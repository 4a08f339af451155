//! `quell order cancel`: an order is withdrawn, if no machine has begun.

use model::OrderId;
use model::order::State;
use serde_json::{Value, json};

use crate::client::comment::Comment;
use crate::client::wait::{self, Wait};
use crate::client::{Api, text};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

pub(super) fn run(
    api: &Api,
    format: Format,
    order: OrderId,
    comment: Comment,
    wait: &Wait,
) -> Result<(), Failure> {
    let body = json!({ "Comment": comment.words()? });
    let answer = api.post(&format!("/api/quell/orders/{order}/cancel"), &body)?;
    let is_open = State::from_word(&text(&answer.json, "state")).is_some_and(|state| !state.is_final());
    if is_open && wait.wait {
        let ended = wait::until_final(api, &order.to_string(), Some(wait.limit()), |_| {})?;
        if format == Format::Json {
            say::out(&ended.body);
        }
        return verdict(&ended.json, format);
    }
    if format == Format::Json {
        say::out(&answer.body);
    }
    if is_open {
        if format == Format::Table {
            say::aside(format!(
                "{order} was handed to its machine: it is asked not to begin; follow it: quell order watch {order}"
            ));
        }
        return Ok(());
    }
    verdict(&answer.json, format)
}

/// A cancel that came too late has failed: the order was carried out.
fn verdict(order: &Value, format: Format) -> Result<(), Failure> {
    let (id, state) = (text(order, "id"), text(order, "state"));
    if state == State::Cancelled.word() {
        if format == Format::Table {
            say::aside(format!("{id} is cancelled: its machine does not begin it"));
        }
        return Ok(());
    }
    Err(Failure::new(Exit::Conflict, format!("too late: the machine had begun, and {id} ended {state}"))
        .hint(format!("see what was done: quell order show {id}; take it back: quell order undo {id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_that_came_too_late_is_no_success() {
        assert!(verdict(&json!({ "id": "o", "state": "Cancelled" }), Format::Json).is_ok());
        let late = verdict(&json!({ "id": "o", "state": "Succeeded" }), Format::Json).unwrap_err();
        assert_eq!(late.exit, Exit::Conflict);
        assert!(late.to_string().contains("quell order undo o"), "{late}");
    }
}
