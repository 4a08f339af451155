//! When is weighed again what could not be weighed whole. Some files that run can never be read.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

/// The first pause; each further one is as many times as long.
const FIRST: Duration = Duration::from_secs(30);
const LONGER: u32 = 3;
/// So often it is tried again.
const MOST: u32 = 3;

/// Tries, since somebody asked last.
#[derive(Debug, Default)]
pub(super) struct Later {
    tries: u32,
    due: Option<Instant>,
}

impl Later {
    /// Waits until somebody asks, or it is time to try again. False when nobody will ask any more.
    pub(super) fn wait(&mut self, asked: &Receiver<()>) -> bool {
        let heard = match self.due.take() {
            Some(due) => asked.recv_deadline(due),
            None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        if heard.is_ok() {
            self.tries = 0;
        }
        heard != Err(RecvTimeoutError::Disconnected)
    }

    /// Not all could be weighed. Whether it is tried again.
    pub(super) fn again(&mut self, now: Instant) -> bool {
        if self.tries >= MOST {
            return false;
        }
        self.due = Some(now + FIRST * LONGER.pow(self.tries));
        self.tries += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_read_is_tried_so_often_and_no_more() {
        let (ask, asked) = crossbeam_channel::bounded(1);
        // Long ago, so that nobody waits here.
        let Some(past) = Instant::now().checked_sub(Duration::from_secs(3600)) else { return };
        let mut later = Later::default();
        for _ in 0..2 {
            ask.send(()).unwrap();
            let mut times = 0;
            loop {
                assert!(later.wait(&asked));
                times += 1;
                if !later.again(past) {
                    break;
                }
            }
            assert_eq!(times, 1 + MOST, "and anew for who asks anew");
            assert_eq!(later.due, None);
        }
        drop(ask);
        assert!(!later.wait(&asked));
    }

    #[test]
    fn the_pauses_grow() {
        let (now, mut later) = (Instant::now(), Later::default());
        let mut pauses = Vec::new();
        while later.again(now) {
            pauses.push((later.due.unwrap() - now).as_secs());
        }
        assert_eq!(pauses, [30, 90, 270]);
    }
}
