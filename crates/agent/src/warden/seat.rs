//! Where one child belongs: it is there, or it rests before it is started again.

use std::time::{Duration, Instant};

use super::child::{Child, Ended};
use super::crashes::pause_after;

#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) child: Option<Child>,
    /// How long the last pause was; none before the first.
    pause: Option<Duration>,
    /// Not started before.
    pub(super) rests: Option<Instant>,
}

impl Seat {
    pub(super) fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, Child::pid)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.child.is_none() && self.rests.is_none_or(|until| now >= until)
    }

    /// When to look after it again, if that is known.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.child {
            Some(child) => child.due(),
            None => self.rests,
        }
    }

    /// Has another one started at once: whoever is there is asked to end.
    pub(super) fn renew(&mut self, now: Instant) {
        (self.pause, self.rests) = (None, None);
        if let Some(child) = &mut self.child {
            child.ask_to_end(now);
        }
    }

    /// Returns what is left of it.
    pub(super) fn ended(&mut self, name: &str, ended: &Ended, now: Instant) -> Option<Child> {
        let child = self.child.take()?;
        let lived = now.duration_since(child.since);
        match ended.was_asked {
            true => self.rests = Some(now),
            false => self.rest(name, lived, &ended.why(), now),
        }
        Some(child)
    }

    pub(super) fn rest(&mut self, name: &str, lived: Duration, why: &str, now: Instant) {
        let pause = pause_after(self.pause, lived);
        let ms = pause.as_millis();
        // Told while the pauses grow: what fails for good is not told every five seconds for good.
        if self.pause == Some(pause) {
            tracing::info!("{name} ended ({why}) and is started again in {ms} ms");
        } else {
            tracing::warn!("{name} ended ({why}) and is started again in {ms} ms");
        }
        self.pause = Some(pause);
        self.rests = Some(now + pause);
    }
}
