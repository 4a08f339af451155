//! The host's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use model::Time;

/// This moment; 1970 if the host believes it is earlier.
#[expect(clippy::disallowed_methods, reason = "this is where a command's time comes from")]
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_seconds(0).after(since)
}
