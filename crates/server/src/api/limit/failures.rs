//! Failed requests for a token: so many a minute from one address for one client id, and then a pause.
//!
//! Good requests are free: a playbook may fetch a token for each of its calls.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::Time;

use super::{MINUTE, ROOM, Window};

const A_MINUTE: u32 = 60;
/// Longer ids are nobody's; no more of them is kept.
const ID_LENGTH: usize = 64;

/// Who failed of late.
#[derive(Default)]
pub(crate) struct Failures(Mutex<HashMap<(String, IpAddr), Window>>);

impl Failures {
    /// How long this client must pause; none if it may try.
    pub(in crate::api) fn pause(&self, client: &str, from: IpAddr, now: Time) -> Option<Duration> {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get_mut(&key(client, from))?.wait(now)
    }

    /// It has failed.
    pub(in crate::api) fn count(&self, client: &str, from: IpAddr, now: Time) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= ROOM {
            failed.retain(|_, window| !window.is_idle(now));
        }
        // Somebody invents ids faster than a minute passes. Secrets are 256 random bits: what is lost by
        // forgetting is the pause, not the lock.
        if failed.len() >= ROOM {
            failed.clear();
        }
        failed.entry(key(client, from)).or_insert_with(|| Window::new(A_MINUTE, MINUTE)).count(now);
    }
}

fn key(client: &str, from: IpAddr) -> (String, IpAddr) {
    (client.chars().take(ID_LENGTH).collect(), from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn sixty_failures_a_minute_are_forgiven() {
        let failures = Failures::default();
        let at = Time::from_seconds;
        for _ in 0..60 {
            assert_eq!(failures.pause("a", HERE, at(0)), None);
            failures.count("a", HERE, at(0));
        }
        assert_eq!(failures.pause("a", HERE, at(20)), Some(Duration::from_secs(40)));
        assert_eq!(failures.pause("a", THERE, at(20)), None);
        assert_eq!(failures.pause("b", HERE, at(20)), None);
        assert_eq!(failures.pause("a", HERE, at(60)), None);
    }

    #[test]
    fn invented_ids_do_not_fill_the_memory() {
        let failures = Failures::default();
        for number in 0..=ROOM {
            failures.count(&number.to_string().repeat(100), HERE, Time::from_seconds(0));
        }
        assert!(failures.0.lock().unwrap().len() < ROOM);
    }
}
