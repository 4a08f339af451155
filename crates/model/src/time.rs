//! Moments, in the resolution of the compatible API.

/// A moment in UTC, counted in steps of 100 nanoseconds since 1970: the resolution of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

const TICKS_PER_SECOND: i64 = 10_000_000;

impl Time {
    /// From ticks of 100 ns since the epoch.
    pub const fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// Ticks of 100 ns since the epoch.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// From whole seconds since the epoch; far-off values are clamped.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(TICKS_PER_SECOND))
    }

    /// From nanoseconds since the epoch; what the resolution can't hold is cut off.
    pub const fn from_nanoseconds(nanoseconds: i128) -> Self {
        Self((nanoseconds / 100) as i64)
    }

    /// Nanoseconds since the epoch.
    pub const fn nanoseconds(self) -> i128 {
        self.0 as i128 * 100
    }

    /// This moment, `age` earlier.
    pub const fn before(self, age: std::time::Duration) -> Self {
        Self(self.0.saturating_sub(ticks_of(age)))
    }

    /// This moment, `span` later.
    pub const fn after(self, span: std::time::Duration) -> Self {
        Self(self.0.saturating_add(ticks_of(span)))
    }

    /// How long before `self` the moment `earlier` was; zero if it was not.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.0 - earlier.0).unwrap_or(0).saturating_mul(100))
    }
}

const fn ticks_of(span: std::time::Duration) -> i64 {
    let ticks = span.as_nanos() / 100;
    if ticks > i64::MAX as u128 { i64::MAX } else { ticks as i64 }
}

/// Where a moment comes from. Passed in, so that tests own time.
pub trait Clock: Send + Sync {
    /// This moment.
    fn now(&self) -> Time;
}
