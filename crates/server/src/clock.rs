//! The only place of the server that reads the wall clock.

use std::time::SystemTime;

use model::{Clock, Time};

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// A clock set before 1970 reads as 1970: no order or sighting is that old.
    #[expect(clippy::disallowed_methods, reason = "this is where the server's time comes from")]
    fn now(&self) -> Time {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Time::from_ticks(0).after(since_1970)
    }
}
