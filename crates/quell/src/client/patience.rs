//! Trying again when the server says so, and not for ever.

use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// Until when somebody goes on trying.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience(Instant);

impl Patience {
    /// For so long from now on.
    pub(crate) fn of(time: Duration) -> Self {
        let now = Instant::now();
        // Nobody lives to see the difference.
        Self(now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(86_400)))
    }

    /// Waits for so long. False, at once, when the time would be over first.
    pub(crate) fn pause(self, pause: Duration) -> bool {
        let is_left = self.0.saturating_duration_since(Instant::now()) >= pause;
        if is_left {
            thread::sleep(pause);
        }
        is_left
    }

    /// Calls, and again after each answer that says when to come back.
    pub(crate) fn call<T>(self, mut call: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        loop {
            match call() {
                Err(failure) if failure.retry_after.is_some_and(|pause| self.pause(pause)) => {}
                done => return done,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn busy(seconds: u64) -> Failure {
        Failure::new(Exit::Failed, "busy").retry_after(Some(seconds))
    }

    #[test]
    fn it_comes_back_when_it_is_told_to_and_gives_up_when_that_is_too_late() {
        let mut answers = vec![Ok(7), Err(busy(1))];
        let done = Patience::of(Duration::from_secs(60)).call(|| answers.pop().unwrap());
        assert_eq!(done.unwrap(), 7);
        let mut calls = 0;
        let done = Patience::of(Duration::from_secs(60)).call(|| {
            calls += 1;
            Err::<(), _>(busy(3600))
        });
        assert_eq!((calls, done.unwrap_err().exit), (1, Exit::Failed), "it does not wait for an hour");
        let done = Patience::of(Duration::from_secs(60)).call(|| {
            calls += 1;
            Err::<(), _>(Failure::new(Exit::Refused, "no"))
        });
        assert_eq!((calls, done.unwrap_err().exit), (2, Exit::Refused));
    }
}
