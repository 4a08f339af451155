//! What the main thread waits for.

use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Exit;
use crate::failure::Failure;

/// What the main thread waits for.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody wants it to end.
    Stop,
    /// Guard or agent may have ended.
    ChildEnded,
    /// All of it works; or the wait was over first, and this is what was still lacking.
    Ready(Option<String>),
}

/// Turns signals into events. Without this a Ctrl-C would end the process and leave the demo mounted.
pub(super) fn hear_signals(events: Sender<Event>) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("cannot hear signals: {error}"));
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCHLD]).map_err(cannot)?;
    let hear = move || {
        for signal in signals.forever() {
            let event = if signal == SIGCHLD { Event::ChildEnded } else { Event::Stop };
            if events.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(hear).map_err(cannot)?;
    Ok(())
}
