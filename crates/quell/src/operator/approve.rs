//! `quell operator approve`: sign an approval and bring it to its machine.

use std::time::{Duration, Instant};

use model::HoldId;
use serde_json::{Value, json};

use wire::rest::Hold;

use crate::client::comment::Comment;
use crate::client::{Api, list, text};
use crate::escape::printable;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::say;

use super::{With, sign};

/// How long a machine that is there may take to say that it goes on.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn run(api: &Api, hold: Option<HoldId>, with: &With, comment: Comment) -> Result<(), Failure> {
    let id = hold.map(|hold| hold.to_string()).unwrap_or_default();
    let found = find(api, &id)?.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("nothing waits under {id}"))
            .hint("it was approved, withdrawn, or is over: `quell operator list` shows what waits now")
    })?;
    let request = text(&found, "request");
    is_what_is_shown(&found, hold, &request)?;
    let signed = sign::signed(&request, with, comment)?;
    bring(api, signed)?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if find(api, &id)?.is_none() {
            say::out(format!("approved {id}: it goes on on {}", printable(&text(&found, "computerDnsName"))));
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    Err(Failure::new(Exit::WaitedTooLong, "the approval is on its way; the machine has not answered yet")
        .hint("it gets it when it attaches; `quell operator list` shows whether it still waits"))
}

/// A server that was taken over could show one thing and have another signed.
fn is_what_is_shown(found: &Value, hold: Option<HoldId>, request: &str) -> Result<(), Failure> {
    let asked = sign::asked(request)?;
    let is_shown = Some(asked.hold) == hold
        && asked.machine.to_string() == text(found, "machineId")
        && Hold::identifier_of(&asked.what) == text(found, "identifier");
    if is_shown {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        "the server wants something else signed than it shows; nothing was signed",
    )
    .hint("do not trust this server: look at the machine with `quell agent approve --list`"))
}

/// Brings a signed approval to the server, which passes it on.
pub(super) fn bring(api: &Api, signed: String) -> Result<(), Failure> {
    api.post("/api/quell/approvals", &json!({ "Approval": signed }))?;
    say::aside("the approval is on its way to the machine");
    Ok(())
}

fn find(api: &Api, id: &str) -> Result<Option<Value>, Failure> {
    let holds = api.get("/api/quell/holds")?;
    Ok(list(&holds.json).iter().find(|hold| hold["id"] == id).cloned())
}
