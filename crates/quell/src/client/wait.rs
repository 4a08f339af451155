//! Following an order until nothing more will happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use model::order::State;
use serde_json::Value;

use crate::exit::Exit;
use crate::failure::Failure;

use super::{Answer, Api, list, text};

/// Whether and how long to wait.
#[derive(clap::Args)]
pub(crate) struct Wait {
    /// Wait until it is done on the machines
    #[arg(long)]
    pub(crate) wait: bool,
    /// How many seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "wait")]
    timeout: u64,
}

impl Wait {
    /// When to give up.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// Most orders are done at once; later nobody needs to know to the tenth of a second.
const EAGER: Duration = Duration::from_millis(200);
const EAGER_FOR: Duration = Duration::from_secs(5);
const CALM: Duration = Duration::from_secs(1);

/// Reads the order until its state is final, and calls `changed` each time something about it is new.
/// Without a `limit` it waits for as long as it takes. Ctrl-C detaches: the order goes on.
pub(crate) fn until_final(
    api: &Api,
    order: &str,
    limit: Option<Duration>,
    mut changed: impl FnMut(&Answer),
) -> Result<Answer, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let watch = signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted));
    let since = Instant::now();
    let mut last = Value::Null;
    let ended = loop {
        let pause = match api.get(&format!("/api/quell/orders/{order}")) {
            Ok(answer) => {
                if answer.json != last {
                    last = answer.json.clone();
                    changed(&answer);
                }
                if state(&answer.json).is_some_and(State::is_final) {
                    break Ok(answer);
                }
                if since.elapsed() < EAGER_FOR { EAGER } else { CALM }
            }
            Err(failure) => match failure.retry_after {
                Some(pause) => pause,
                None => break Err(failure),
            },
        };
        let hint = format!("the order goes on; follow it: quell order watch {order}");
        if limit.is_some_and(|limit| since.elapsed() + pause > limit) {
            let message =
                format!("{order} is still {} after {} s", text(&last, "state"), since.elapsed().as_secs());
            break Err(Failure::new(Exit::WaitedTooLong, message).hint(hint));
        }
        if !sleep(pause, &interrupted) {
            break Err(Failure::new(Exit::Interrupted, "interrupted").hint(hint));
        }
    };
    if let Ok(watch) = watch {
        signal_hook::low_level::unregister(watch);
    }
    ended
}

/// How an order that is over ended.
pub(crate) fn verdict(order: &Value) -> Result<(), Failure> {
    let failed = |exit, what: &str| {
        let reason = order["failure"].as_str().map_or_else(String::new, |reason| format!(": {reason}"));
        Failure::new(exit, format!("{} {what}{reason}", text(order, "id")))
            .hint(format!("see each copy: quell order show {}", text(order, "id")))
    };
    match state(order) {
        Some(State::Succeeded) => Ok(()),
        Some(State::TimeOut) => Err(failed(Exit::WaitedTooLong, "was not begun in time")),
        Some(State::Cancelled) => Err(failed(Exit::Failed, "was cancelled")),
        _ if order["partlyDone"] == true => Err(failed(Exit::Failed, "failed, and is done in part")),
        _ => Err(failed(Exit::Failed, "failed")),
    }
}

/// The newest order that wants this of the file, among the organization's.
pub(crate) fn newest(orders: &Value, want: &str, file: &str) -> Option<String> {
    let order = list(orders).iter().find(|order| order["want"] == want && order["sha"] == file)?;
    order["id"].as_str().map(str::to_owned)
}

fn state(order: &Value) -> Option<State> {
    State::from_word(order["state"].as_str()?)
}

/// Whether the whole pause went by without a Ctrl-C.
fn sleep(pause: Duration, interrupted: &AtomicBool) -> bool {
    let until = Instant::now() + pause;
    while Instant::now() < until && !interrupted.load(Ordering::Relaxed) {
        thread::sleep(pause.min(Duration::from_millis(50)));
    }
    !interrupted.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_order_ends_the_command_as_it_ended() {
        let exit = |state: &str| {
            verdict(&json!({ "id": "o", "state": state, "failure": "not guarded" }))
                .err()
                .map(|failure| failure.exit)
        };
        assert_eq!(exit("Succeeded"), None);
        assert_eq!(exit("Failed"), Some(Exit::Failed));
        assert_eq!(exit("TimeOut"), Some(Exit::WaitedTooLong));
        assert_eq!(exit("Cancelled"), Some(Exit::Failed));
        let text = verdict(&json!({ "id": "o", "state": "Failed", "failure": "disk full" })).unwrap_err();
        assert_eq!(text.to_string(), "error: o failed: disk full\n next: see each copy: quell order show o");
    }

    #[test]
    fn the_newest_order_of_a_file_is_found() {
        let orders = json!({ "value": [
            { "id": "3", "want": "unblock", "sha": "a" },
            { "id": "2", "want": "block", "sha": "a" },
            { "id": "1", "want": "block", "sha": "a" },
        ] });
        assert_eq!(newest(&orders, "block", "a").as_deref(), Some("2"));
        assert_eq!(newest(&orders, "block", "b"), None);
    }
}
