//! How many calls there were in the last minute, or hour.

use std::collections::VecDeque;
use std::time::Duration;

use model::Time;

/// A span is remembered in so many parts. Calls of one part leave together, with the last of them: never too
/// early, and too late by a part at most. That bounds memory whatever the limit is.
const PARTS: u32 = 240;

/// Calls in a span that slides along with time.
#[derive(Debug)]
pub(super) struct Window {
    span: Duration,
    max: u32,
    parts: VecDeque<Part>,
    calls: u32,
}

#[derive(Debug)]
struct Part {
    first: Time,
    last: Time,
    calls: u32,
}

impl Window {
    pub(super) const fn new(max: u32, span: Duration) -> Self {
        Self { span, max, parts: VecDeque::new(), calls: 0 }
    }

    pub(super) const fn max(&self) -> u32 {
        self.max
    }

    pub(super) const fn span(&self) -> Duration {
        self.span
    }

    /// How long a caller must wait; none if there is room.
    pub(super) fn wait(&mut self, now: Time) -> Option<Duration> {
        self.forget(now);
        let oldest = self.parts.front().filter(|_| self.calls >= self.max)?;
        Some(oldest.last.after(self.span).since(now))
    }

    pub(super) fn count(&mut self, now: Time) {
        self.calls = self.calls.saturating_add(1);
        match self.parts.back_mut() {
            Some(part) if now < part.first.after(self.span / PARTS) => {
                part.last = part.last.max(now);
                part.calls = part.calls.saturating_add(1);
            }
            _ => self.parts.push_back(Part { first: now, last: now, calls: 1 }),
        }
    }

    pub(super) fn is_idle(&mut self, now: Time) -> bool {
        self.forget(now);
        self.parts.is_empty()
    }

    fn forget(&mut self, now: Time) {
        // A clock that was set back must not lock anybody out for longer than the span.
        if self.parts.back().is_some_and(|part| part.last > now.after(self.span)) {
            self.parts.clear();
            self.calls = 0;
        }
        while let Some(part) = self.parts.front().filter(|part| part.last.after(self.span) <= now) {
            self.calls = self.calls.saturating_sub(part.calls);
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(milliseconds: i64) -> Time {
        Time::from_ticks(milliseconds * 10_000)
    }

    #[test]
    fn the_window_slides() {
        let mut window = Window::new(2, MINUTE);
        for start in [0, 30_000] {
            assert_eq!(window.wait(at(start)), None);
            window.count(at(start));
        }
        assert_eq!(window.wait(at(30_000)), Some(Duration::from_secs(30)));
        assert_eq!(window.wait(at(59_999)), Some(Duration::from_millis(1)));
        assert_eq!(window.wait(at(60_000)), None);
        window.count(at(60_000));
        assert_eq!(window.wait(at(60_000)), Some(Duration::from_secs(30)));
    }

    #[test]
    fn memory_does_not_grow_with_the_limit() {
        let mut window = Window::new(u32::MAX, MINUTE);
        for millisecond in 0..60_000 {
            window.count(at(millisecond));
        }
        assert!(window.parts.len() <= PARTS as usize);
        assert_eq!(window.calls, 60_000);
        assert!(window.is_idle(at(120_000)));
        assert_eq!(window.calls, 0);
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let mut window = Window::new(1, MINUTE);
        window.count(at(1_000_000_000));
        assert_eq!(window.wait(at(0)), None);
    }
}
