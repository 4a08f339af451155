//! The last answers, so that root can ask why something ran or did not.
//!
//! Written by the thread that works after the answers: the loop that gives them has no part in it.

use std::collections::VecDeque;
use std::time::Duration;

use model::rule::Effect;
use model::{Names, RuleId, Time};
use parking_lot::Mutex;
use sys::fanotify::permission::Answer;
use sys::identity::Stat;
use wire::link::v1;

/// How many are kept: some minutes of a busy machine, half a MiB.
const ROOM: usize = 4096;
/// How many are told at a time.
const TOLD: usize = 16;

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) answer: Answer,
    pub(super) because: Because,
    /// What was to run, as far as somebody looked.
    pub(super) file: Option<Stat>,
    /// Its names, if they were known in time.
    pub(super) names: Option<Names>,
    /// How long the opener waited.
    pub(super) waited: Duration,
    pub(super) at: Time,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// The rules were asked. `from_cache`: by digests that were known before, not read for this answer.
    Judged { rule: Option<(RuleId, Effect)>, spared: bool, from_cache: bool },
    /// Somebody was writing to the file.
    Busy,
    /// The digests were not there in time, or there was no room to wait.
    TimedOut,
    /// Its user asked about more than a fair share of unknown files at once.
    Overdrawn,
    /// The file could not be read.
    Failed,
    /// It was opened, and is nothing that runs.
    Data,
    /// Another guard judges it.
    Relieved,
}

/// The last answers.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<(i32, Given)>>);

impl Recent {
    pub(super) fn keep(&self, pid: i32, given: Given) {
        let mut answers = self.0.lock();
        if answers.len() == ROOM {
            answers.pop_front();
        }
        answers.push_back((pid, given));
    }

    /// The last answers about a process or a file, newest first.
    pub(super) fn about(&self, wanted: &v1::Explain) -> v1::Explained {
        let is_meant = |(pid, given): &&(i32, Given)| {
            (wanted.pid != 0 && *pid == wanted.pid)
                || given.file.is_some_and(|file| {
                    wanted.inode != 0 && (file.device, file.inode) == (wanted.device, wanted.inode)
                })
        };
        let answers = self.0.lock();
        v1::Explained { answers: answers.iter().rev().filter(is_meant).take(TOLD).map(message).collect() }
    }
}

fn message((pid, given): &(i32, Given)) -> v1::GivenAnswer {
    let (reason, rule, spared) = match given.because {
        Because::Judged { rule, spared, from_cache: true } => ("known", rule, spared),
        Because::Judged { rule, spared, from_cache: false } => ("read", rule, spared),
        Because::Busy => ("busy", None, false),
        Because::TimedOut => ("late", None, false),
        Because::Overdrawn => ("overdrawn", None, false),
        Because::Failed => ("unreadable", None, false),
        Because::Data => ("data", None, false),
        Because::Relieved => ("relieved", None, false),
    };
    v1::GivenAnswer {
        pid: *pid,
        permitted: given.answer == Answer::Permit,
        reason: reason.to_owned(),
        digests: given.names.as_ref().map(Into::into),
        rule: rule.map(|(id, _)| id.0),
        effect: rule.map(|(_, effect)| effect.word().to_owned()).unwrap_or_default(),
        spared,
        waited_us: u64::try_from(given.waited.as_micros()).unwrap_or(u64::MAX),
        at: given.at.ticks(),
        device: given.file.map_or(0, |file| file.device),
        inode: given.file.map_or(0, |file| file.inode),
        size: given.file.map_or(0, |file| file.size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(waited: u64) -> Given {
        Given {
            answer: Answer::Permit,
            because: Because::TimedOut,
            file: None,
            names: None,
            waited: Duration::from_micros(waited),
            at: Time::default(),
        }
    }

    #[test]
    fn the_newest_are_told_first_and_the_oldest_forgotten() {
        let recent = Recent::default();
        recent.keep(7, given(1));
        recent.keep(7, given(2));
        recent.keep(8, given(3));
        let about = |pid| {
            let told = recent.about(&v1::Explain { pid, ..Default::default() });
            told.answers.iter().map(|answer| answer.waited_us).collect::<Vec<_>>()
        };
        assert_eq!(about(7), [2, 1]);
        assert_eq!(about(0), [0; 0]);
        (0..ROOM).for_each(|_| recent.keep(9, given(4)));
        assert_eq!(about(7), [0; 0]);
        assert_eq!(about(9).len(), TOLD);
    }
}
