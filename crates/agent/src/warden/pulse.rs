//! Whether a child's beat still goes, judged without trusting the judge's own punctuality.
//!
//! All times are nanoseconds of the monotonic clock, which two processes share and which stands still while the
//! machine sleeps. A guard beats at the latest on each multiple of [`EACH`], and one looks a little behind it: so a
//! guard that stands still is found within one interval and two looks, and an idle machine is woken seldom.
//!
//! A guard that is only not let run is not to blame: it has had no processor, and the next one would have none
//! either. It is given more time.

use std::time::Duration;

use sys::scheduling::State;

/// A guard has beaten by each multiple of this.
pub(super) const EACH: Duration = Duration::from_millis(140);
/// By then one looks whether it has.
const BEHIND: Duration = Duration::from_millis(20);
/// And once more, if it has not, so much later.
pub(super) const AGAIN: Duration = Duration::from_millis(50);
/// Who would run and has not had so much processor time since, has had none to speak of;
const STARVED: Duration = Duration::from_millis(20);
/// but nobody waits longer for it.
const STARVES: Duration = Duration::from_secs(1);
/// Who looks so late was not let run itself, and perhaps nobody was.
const LATE: Duration = Duration::from_millis(30);

/// A guard that rests says so anew as often as this.
pub(super) const RESTS: Duration = Duration::from_secs(2);
/// One that has not for so much longer is taken to be awake.
const OVERSLEEPS: Duration = Duration::from_millis(500);

/// The agent waits for disks, and nobody waits for it.
const WORK: Duration = Duration::from_secs(30);
/// How long a child may take to its first beat. It holds nobody up before that; and the agent may have to mend what
/// a crash has left.
const BIRTH: Duration = Duration::from_secs(20);
const WORK_BIRTH: Duration = Duration::from_secs(600);

/// Now.
pub(super) fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// How long a guard may wait before it beats again.
pub(super) fn until_beat(now: u64) -> Duration {
    Duration::from_nanos(ns(EACH) - now % ns(EACH))
}

/// When one looks next.
pub(super) fn next_look(now: u64) -> u64 {
    grid(now.saturating_sub(ns(BEHIND))) + ns(EACH) + ns(BEHIND)
}

/// When one looks next where all guards rest.
pub(super) fn next_look_at_rest(now: u64) -> u64 {
    now + ns(RESTS)
}

/// Whether a guard rests that has said so last at `since`, and was roused at `roused` (0: never). Who says so while
/// being asked is asked still.
pub(super) fn rests(since: u64, roused: u64, now: u64) -> bool {
    since > roused && now.saturating_sub(since) <= ns(RESTS) + ns(OVERSLEEPS)
}

/// Whether a look that was meant for `meant` came too late to blame anybody.
pub(super) fn is_late(meant: u64, now: u64) -> bool {
    now.saturating_sub(meant) > ns(LATE)
}

/// What the scheduler says of a child that is late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plight {
    pub(super) state: State,
    /// Processor time it has had in all.
    pub(super) ran: Duration,
}

/// How a child seems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seems {
    Well,
    /// To be looked at again after [`AGAIN`].
    Late,
    /// It stands still.
    Silent,
}

/// One child's pulse, as far as it was felt.
#[derive(Debug)]
pub(super) struct Pulse {
    is_guard: bool,
    born: u64,
    /// When it was first found to be late, and what it had run by then.
    suspect: Option<(u64, Duration)>,
}

impl Pulse {
    /// Of a child that was started now.
    pub(super) fn new(is_guard: bool, now: u64) -> Self {
        Self { is_guard, born: now, suspect: None }
    }

    /// How it seems now, if its last beat was then (0: none yet). `late` is what [`is_late`] says of this look;
    /// `plight` is asked for only when the child is late.
    pub(super) fn feel(&mut self, beat: u64, now: u64, late: bool, plight: impl FnOnce() -> Plight) -> Seems {
        let (birth, due) = match self.is_guard {
            true => (BIRTH, grid(now.saturating_sub(ns(BEHIND)))),
            false => (WORK_BIRTH, now.saturating_sub(ns(WORK))),
        };
        let is_due = if beat == 0 { now.saturating_sub(self.born) > ns(birth) } else { beat < due };
        if !is_due {
            self.suspect = None;
            return Seems::Well;
        }
        let Plight { state, ran } = plight();
        // It will not go on by itself.
        if state == State::Stopped && self.is_guard && beat != 0 {
            return Seems::Silent;
        }
        let Some((since, had_run)) = self.suspect.filter(|_| !late) else {
            self.suspect = Some((now, ran));
            return Seems::Late;
        };
        let starves = state == State::Runs && ran.saturating_sub(had_run) < STARVED;
        let patience = if starves { STARVES } else { AGAIN };
        // Timers may fire a little early against another clock's reading.
        if now - since + 1_000_000 >= ns(patience) { Seems::Silent } else { Seems::Late }
    }
}

impl Pulse {
    /// It need not beat now.
    pub(super) fn rests(&mut self) {
        self.suspect = None;
    }
}

fn grid(now: u64) -> u64 {
    now - now % ns(EACH)
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    const SLEEPS: Plight = Plight { state: State::Sleeps, ran: Duration::ZERO };

    /// Looks as the sentry does at a guard whose last beat was at `stop`; returns when it is found silent.
    fn found(stop: u64, plight: Plight) -> u64 {
        let mut pulse = Pulse::new(true, 0);
        let mut now = next_look(stop.saturating_sub(500 * MS));
        loop {
            // Until it stops, it beats on each multiple.
            let beat = if now < stop { grid(now) } else { stop };
            now = match pulse.feel(beat, now, false, || plight) {
                Seems::Well => next_look(now),
                Seems::Late => now + ns(AGAIN),
                Seems::Silent => return now,
            };
        }
    }

    #[test]
    fn a_guard_that_stands_still_is_found_in_time() {
        for (state, most) in [(State::Sleeps, 210), (State::WaitsDeeply, 210), (State::Stopped, 160)] {
            let plight = Plight { state, ran: Duration::ZERO };
            let delays: Vec<_> = (1000..1300).map(|ms| found(ms * MS, plight) - ms * MS).collect();
            assert_eq!(delays.iter().max(), Some(&(most * MS)), "{state:?}");
        }
    }

    #[test]
    fn one_that_is_not_let_run_is_given_time_and_one_that_spins_is_not() {
        let look = |spent| {
            let mut pulse = Pulse::new(true, 0);
            let ran = |ran| Plight { state: State::Runs, ran };
            assert_eq!(pulse.feel(MS, 1000 * MS, false, || ran(Duration::ZERO)), Seems::Late);
            let mut later = (1..).map(|look| (look, 1000 * MS + look * ns(AGAIN)));
            later.find(|(_, now)| pulse.feel(MS, *now, false, || ran(spent)) == Seems::Silent).unwrap().0
        };
        assert_eq!(look(Duration::from_millis(19)), 20);
        assert_eq!(look(Duration::from_millis(20)), 1);
    }

    #[test]
    fn a_guard_that_keeps_time_is_well() {
        let mut pulse = Pulse::new(true, 0);
        let mut now = next_look(77 * MS);
        for _ in 0..1000 {
            let beat = now - ns(BEHIND);
            assert_eq!(beat, grid(beat));
            assert_eq!(pulse.feel(beat, now, false, || unreachable!()), Seems::Well);
            now = next_look(now);
        }
        assert_eq!(until_beat(140 * MS), EACH);
        assert_eq!(until_beat(279 * MS), Duration::from_millis(1));
    }

    #[test]
    fn a_judge_who_is_late_looks_once_more() {
        let mut pulse = Pulse::new(true, 0);
        let mut feel = |beat, now, late| pulse.feel(beat * MS, now * MS, late, || SLEEPS);
        assert_eq!(feel(1400, 1420, false), Seems::Well);
        assert!(is_late(1560 * MS, 2500 * MS));
        assert_eq!(feel(1400, 2500, true), Seems::Late, "nobody was let run");
        assert_eq!(feel(2525, 2550, false), Seems::Well, "it goes on as the judge does");
        assert_eq!(feel(2525, 3500, true), Seems::Late);
        assert_eq!(feel(2525, 3600, true), Seems::Late, "late again");
        assert_eq!(feel(2525, 3650, false), Seems::Silent);
    }

    #[test]
    fn one_who_has_not_begun_is_given_time_and_the_agent_more() {
        for (is_guard, birth, life) in [(true, BIRTH, EACH + BEHIND), (false, WORK_BIRTH, WORK)] {
            let mut pulse = Pulse::new(is_guard, 0);
            let mut feel = |beat, now| pulse.feel(beat, now, false, || SLEEPS);
            assert_eq!(feel(0, ns(birth)), Seems::Well);
            assert_eq!(feel(0, ns(birth) + 1), Seems::Late);
            let first = grid(ns(birth)) + ns(EACH);
            assert_eq!(feel(first, first), Seems::Well);
            assert_eq!(feel(first, first + ns(life) - 1), Seems::Well);
            assert_eq!(feel(first, first + ns(life) + 1), Seems::Late);
            assert_eq!(feel(first, first + ns(life) + 50 * MS), Seems::Silent);
        }
    }
}
