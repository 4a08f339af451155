//! `quell operator approve`: sign an approval, bring it to its machine, and hear what became of it.

use std::time::{Duration, Instant};

use model::HoldId;
use serde_json::{Value, json};

use wire::rest::Hold;

use crate::client::comment::Comment;
use crate::client::patience::Patience;
use crate::client::{Api, text};
use crate::escape::printable;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::say;

use super::{With, sign};

/// A machine that is there answers at once; later nobody needs to know to the tenth of a second.
const EAGER: Duration = Duration::from_millis(200);
const EAGER_FOR: Duration = Duration::from_secs(5);
const CALM: Duration = Duration::from_secs(1);
/// The end of what is held may be told before who approved it.
const SECOND_LOOK: Duration = Duration::from_secs(1);

pub(super) fn run(
    api: &Api,
    hold: HoldId,
    with: &With,
    comment: Comment,
    timeout: Duration,
) -> Result<(), Failure> {
    let found = Patience::of(timeout).call(|| find(api, hold))?;
    if found["state"] != "Waiting" {
        return Err(no_more(&found));
    }
    let request = text(&found, "request");
    is_what_is_shown(&found, hold, &request)?;
    let signed = sign::signed(&request, with, comment)?;
    // Somebody may have typed for long.
    let patience = Patience::of(timeout);
    patience.call(|| bring(api, &signed))?;
    say::aside("the approval is on its way to the machine");
    follow(|| find(api, hold), patience, timeout)
}

/// Follows an approval until the machine has taken it, or has not, or `patience` is over.
fn follow(
    mut look: impl FnMut() -> Result<Value, Failure>,
    patience: Patience,
    timeout: Duration,
) -> Result<(), Failure> {
    let since = Instant::now();
    let mut withdrawn = None;
    loop {
        let pause = match look() {
            Ok(found) => match (found["state"].as_str(), found["approval"].as_str()) {
                (Some("Approved"), _) => {
                    let machine = text(&found, "computerDnsName");
                    say::out(format!(
                        "approved {}: it goes on on {}",
                        text(&found, "id"),
                        printable(&machine)
                    ));
                    return Ok(());
                }
                (Some("Waiting"), Some("Refused")) => return Err(refused(&found)),
                (Some("Waiting"), _) if since.elapsed() < EAGER_FOR => EAGER,
                (Some("Waiting"), _) => CALM,
                _ if withdrawn.get_or_insert_with(Instant::now).elapsed() < SECOND_LOOK => EAGER,
                _ => return Err(no_more(&found)),
            },
            Err(failure) => match failure.retry_after {
                Some(pause) => pause,
                None => return Err(failure),
            },
        };
        if !patience.pause(pause) {
            let message = format!("the machine has not answered within {} s", timeout.as_secs());
            return Err(Failure::new(Exit::WaitedTooLong, message).hint(
                "the approval is on its way: the machine gets it when it attaches; `quell operator list` shows whether it still waits",
            ));
        }
    }
}

/// In the machine's own words.
fn refused(found: &Value) -> Failure {
    let (machine, why) = (text(found, "computerDnsName"), text(found, "refused"));
    Failure::new(Exit::Refused, format!("{machine} did not take the approval: {why}"))
        .code("ApprovalRefused")
        .hint("it waits on; root there can approve it: `quell agent approve ID`")
}

fn no_more(found: &Value) -> Failure {
    let (id, machine) = (text(found, "id"), text(found, "computerDnsName"));
    match found["approvedBy"].as_str() {
        Some(by) => Failure::new(Exit::Conflict, format!("{id} was approved already on {machine}, by {by}")),
        None => Failure::new(
            Exit::Conflict,
            format!("{id} was withdrawn, or is over, before {machine} had the approval"),
        )
        .hint("nothing is left that could go on; `quell operator list` shows what waits now"),
    }
}

/// A server that was taken over could show one thing and have another signed.
fn is_what_is_shown(found: &Value, hold: HoldId, request: &str) -> Result<(), Failure> {
    let asked = sign::asked(request)?;
    let is_shown = asked.hold == hold
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
pub(super) fn bring(api: &Api, signed: &str) -> Result<(), Failure> {
    api.post("/api/quell/approvals", &json!({ "Approval": signed })).map(drop)
}

fn find(api: &Api, hold: HoldId) -> Result<Value, Failure> {
    let answer = api.get(&format!("/api/quell/holds/{hold}"));
    answer.map(|answer| answer.json).map_err(|failure| match failure.exit {
        Exit::NotFound => Failure::new(Exit::NotFound, format!("nothing waits under {hold}"))
            .hint("it was approved, withdrawn, or is over: `quell operator list` shows what waits now"),
        _ => failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn waiting(approval: &str) -> Result<Value, Failure> {
        Ok(json!({ "id": "h", "computerDnsName": "host1", "state": "Waiting", "approval": approval }))
    }

    fn ended(state: &str, by: Option<&str>) -> Result<Value, Failure> {
        Ok(json!({ "id": "h", "computerDnsName": "host1", "state": state, "approvedBy": by }))
    }

    fn busy(seconds: u64) -> Result<Value, Failure> {
        Err(Failure::new(Exit::Failed, "too many calls").retry_after(Some(seconds)))
    }

    /// How it ends when the server answers so, one after the other and then always the last.
    fn ends(timeout: Duration, answers: Vec<Result<Value, Failure>>) -> (usize, Result<(), Failure>) {
        let (mut calls, mut answers) = (0, answers.into_iter());
        let mut last = answers.next();
        let look = || {
            calls += 1;
            let answer = match last.take() {
                Some(Ok(value)) => Ok(value),
                Some(Err(failure)) => Err(failure),
                None => panic!("it asks on"),
            };
            last = answers.next().or_else(|| answer.as_ref().ok().cloned().map(Ok));
            answer
        };
        let done = follow(look, Patience::of(timeout), timeout);
        (calls, done)
    }

    #[test]
    fn it_waits_as_long_as_the_server_asks_for_and_goes_on_then() {
        let (calls, done) = ends(LONG, vec![waiting("OnItsWay"), busy(1), ended("Approved", Some("key"))]);
        assert_eq!((calls, done.is_ok()), (3, true));
        let (calls, done) = ends(LONG, vec![busy(3600)]);
        assert_eq!((calls, done.unwrap_err().exit), (1, Exit::WaitedTooLong), "and not for an hour");
    }

    #[test]
    fn a_refusal_is_told_in_the_machines_words() {
        let mut refused = waiting("Refused").unwrap();
        refused["refused"] = "it is over by this machine's clock".into();
        let (_, done) = ends(LONG, vec![waiting("OnItsWay"), Ok(refused)]);
        let failure = done.unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert!(
            failure.to_string().contains("host1 did not take the approval: it is over by this"),
            "{failure}"
        );
    }

    #[test]
    fn it_does_not_poll_for_ever_and_takes_no_withdrawal_for_an_approval() {
        let (_, done) = ends(Duration::from_millis(500), vec![waiting("OnItsWay")]);
        assert_eq!(done.unwrap_err().exit, Exit::WaitedTooLong);
        let (_, done) = ends(LONG, vec![ended("Withdrawn", None)]);
        assert_eq!(done.unwrap_err().exit, Exit::Conflict);
        let (_, done) = ends(LONG, vec![ended("Withdrawn", None), ended("Approved", Some("root"))]);
        assert!(done.is_ok(), "who approved it was told a moment later");
        let gone = Err(Failure::new(Exit::Unreachable, "no answer"));
        assert_eq!(ends(LONG, vec![gone]).1.unwrap_err().exit, Exit::Unreachable);
    }
}
