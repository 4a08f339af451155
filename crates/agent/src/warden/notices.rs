//! What systemd is told, if it started the warden: that it is ready, that it lives, and how the guard is.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::Status;

/// Whoever waits for the guard before it goes on (the network, logins) waits no longer.
const READY_BY: Duration = Duration::from_secs(5);

pub(super) struct Notices {
    ready_by: Option<Instant>,
    status: String,
    /// Guard and agent are being started anew.
    reloads: bool,
    /// How often a sign of life is wanted.
    each: Option<Duration>,
    fed: Instant,
    looks: u64,
}

impl Notices {
    pub(super) fn begin(now: Instant) -> Self {
        // Half of the time after which systemd would lose its patience.
        let each = sd_notify::watchdog_enabled().map(|patience| patience / 2);
        Self {
            ready_by: Some(now + READY_BY),
            status: String::new(),
            reloads: false,
            each,
            fed: now,
            looks: 0,
        }
    }

    /// Tells what is new, and returns when to do so again. `looks` counts what the sentry does: while it stands
    /// still, no sign of life is given.
    pub(super) fn tell(&mut self, status: &Status, looks: u64, now: Instant) -> Instant {
        let text = line(status);
        if text != self.status {
            say(&[NotifyState::Status(&text)]);
            self.status = text;
        }
        if self.ready_by.is_some_and(|by| is_ready(status) || now >= by) {
            say(&[NotifyState::Ready]);
            self.ready_by = None;
        }
        if self.each.is_some_and(|each| now >= self.fed + each) {
            if looks != self.looks {
                say(&[NotifyState::Watchdog]);
            }
            (self.looks, self.fed) = (looks, now);
        }
        let fed = self.each.map(|each| self.fed + each);
        fed.into_iter().chain(self.ready_by).min().unwrap_or(now + READY_BY)
    }

    /// Tells that guard and agent are being started anew, and that it is done.
    pub(super) fn tell_of_reload(&mut self, now: bool) {
        if self.ready_by.is_some() || self.reloads == now {
            return;
        }
        self.reloads = now;
        match NotifyState::monotonic_usec_now() {
            Ok(since) if now => say(&[NotifyState::Reloading, since]),
            _ => say(&[NotifyState::Ready]),
        }
    }
}

/// Rules are in force, or none are to be.
fn is_ready(status: &Status) -> bool {
    status.in_force || status.level != super::Level::Deny.name()
}

fn line(status: &Status) -> String {
    match (status.notice.as_str(), status.in_force) {
        ("", true) => "denied files do not run".to_owned(),
        ("", false) if status.level == super::Level::None.name() => "nothing is guarded".to_owned(),
        ("", false) => "no rules are in force yet".to_owned(),
        (notice, _) => format!("nothing is denied: {notice}"),
    }
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_denies_or_is_not_to() {
        let status =
            |level: &str, in_force| Status { level: level.to_owned(), in_force, ..Status::default() };
        assert!(is_ready(&status("deny", true)));
        assert!(!is_ready(&status("deny", false)));
        for level in ["observe", "released", "none"] {
            assert!(is_ready(&status(level, false)));
        }
    }

    #[test]
    fn nobody_waits_for_a_guard_that_does_not_come() {
        let start = Instant::now();
        let mut notices = Notices::begin(start);
        let away = Status { level: "deny".to_owned(), ..Status::default() };
        assert_eq!(notices.tell(&away, 1, start), start + READY_BY);
        assert!(notices.ready_by.is_some());
        notices.tell(&away, 2, start + READY_BY);
        assert!(notices.ready_by.is_none());
        assert_eq!(notices.status, "no rules are in force yet");
    }
}
