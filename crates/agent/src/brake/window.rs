//! What has happened within the last hour, counted by a clock that nobody can set.

use std::time::Duration;

use crate::clock::Moment;

/// For so long something counts.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Things that have happened, each at its moment.
#[derive(Clone, Debug)]
pub(crate) struct Window<T>(Vec<Mark<T>>);

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Mark<T> {
    pub(crate) what: T,
    pub(crate) at: Moment,
    /// Whether it counts against a limit; what somebody approved does not.
    pub(crate) counts: bool,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq> Window<T> {
    /// Notes what happens; what is too old to matter then is forgotten.
    pub(crate) fn note(&mut self, what: T, at: Moment, counts: bool) {
        self.0.retain(|mark| mark.at.age(&at) < HOUR && mark.what != what);
        self.0.push(Mark { what, at, counts });
    }

    /// How many count now.
    pub(crate) fn used(&self, now: &Moment) -> usize {
        self.recent(now).filter(|mark| mark.counts).count()
    }

    /// Whether it has happened, counted or not.
    #[cfg(test)]
    pub(crate) fn has(&self, what: &T, now: &Moment) -> bool {
        self.recent(now).any(|mark| mark.what == *what)
    }

    /// Those of the last hour.
    pub(crate) fn recent<'a>(&'a self, now: &'a Moment) -> impl Iterator<Item = &'a Mark<T>> {
        self.0.iter().filter(|mark| mark.at.age(now) < HOUR)
    }

    /// All that are remembered.
    pub(crate) fn marks(&self) -> &[Mark<T>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noted at, boot and seconds; asked at; whether it counts still.
    #[test]
    fn an_hour_passes_by_the_time_since_boot_alone() {
        let table = [
            (("a", 100), ("a", 100), true),
            (("a", 100), ("a", 3699), true),
            (("a", 100), ("a", 3700), false),
            // A snapshot of the machine from before.
            (("a", 9000), ("a", 100), true),
            // After a boot nobody can say for how long it was off.
            (("a", 100), ("b", 5), true),
            (("a", 100), ("b", 3599), true),
            (("a", 100), ("b", 3600), false),
        ];
        for (noted, asked, counts) in table {
            let mut window = Window::default();
            window.note(7, Moment::at(noted.0, noted.1), true);
            let now = Moment::at(asked.0, asked.1);
            assert_eq!(
                (window.used(&now), window.has(&7, &now)),
                (usize::from(counts), counts),
                "{noted:?} {asked:?}"
            );
        }
    }

    #[test]
    fn the_same_counts_once_and_what_was_approved_does_not() {
        let mut window = Window::default();
        let at = |second| Moment::at("a", second);
        window.note(1, at(1), true);
        window.note(1, at(2), true);
        window.note(2, at(3), false);
        assert_eq!((window.used(&at(4)), window.has(&2, &at(4))), (1, true));
        window.note(3, at(3602), true);
        assert_eq!(window.marks().len(), 2, "what is over is forgotten");
    }
}
