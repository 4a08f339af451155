//! One child process, started again whenever it ends.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// The first pause before it is started again; each further one is twice as long, up to the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// Who has lived so long starts at the first pause again.
const SOUND: Duration = Duration::from_secs(10);

/// A child process that is wanted.
pub(super) struct Child {
    name: &'static str,
    arguments: Vec<OsString>,
    state: State,
    /// How long the last pause was.
    pause: Duration,
}

enum State {
    Runs(process::Child, Instant),
    /// To be started then.
    Rests(Instant),
}

impl Child {
    /// One that [`Self::tend`] will start at once.
    pub(super) fn wanted(name: &'static str, arguments: Vec<OsString>) -> Self {
        Self { name, arguments, state: State::Rests(Instant::now()), pause: Duration::ZERO }
    }

    /// Notices that it ended, and starts it when it is time. Returns when to come again, if that is known.
    pub(super) fn tend(&mut self, now: Instant) -> Option<Instant> {
        if let State::Runs(child, since) = &mut self.state {
            let ended = match child.try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) => status.to_string(),
                Err(error) => error.to_string(),
            };
            let lived = now.duration_since(*since);
            self.rest(now, lived, &ended);
        }
        if let State::Rests(until) = self.state {
            if now < until {
                return Some(until);
            }
            match self.start() {
                Ok(child) => self.state = State::Runs(child, now),
                Err(error) => self.rest(now, Duration::ZERO, &error.to_string()),
            }
        }
        match self.state {
            State::Rests(until) => Some(until),
            State::Runs(..) => None,
        }
    }

    fn rest(&mut self, now: Instant, lived: Duration, why: &str) {
        let pause = pause_after(self.pause, lived);
        let (name, ms) = (self.name, pause.as_millis());
        // Told while the pauses grow: what fails for good is not told every five seconds for good.
        if pause == self.pause {
            tracing::info!("{name} ended ({why}) and is started again in {ms} ms");
        } else {
            tracing::warn!("{name} ended ({why}) and is started again in {ms} ms");
        }
        self.pause = pause;
        self.state = State::Rests(now + pause);
    }

    fn start(&self) -> io::Result<process::Child> {
        Command::new(own_program())
            .args(&self.arguments)
            .stdin(process::Stdio::null())
            // A Ctrl-C on the terminal is for `up`, which stops the children in order.
            .process_group(0)
            .spawn()
    }

    /// Asks it to end.
    pub(super) fn ask_to_stop(&self) {
        if let State::Runs(child, _) = &self.state {
            // Not yet waited for, so the id is still its own.
            let _ = rustix::process::kill_process(Pid::from_child(child), Signal::TERM);
        }
    }

    /// Whether it has ended.
    pub(super) fn is_gone(&mut self) -> bool {
        match &mut self.state {
            State::Runs(child, _) => !matches!(child.try_wait(), Ok(None)),
            State::Rests(_) => true,
        }
    }

    /// Ends it now.
    pub(super) fn kill(&mut self) {
        if let State::Runs(child, _) = &mut self.state {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// This program, also after somebody built a new one in its place.
fn own_program() -> PathBuf {
    match std::env::current_exe() {
        Ok(path) if path.exists() => path,
        _ => "/proc/self/exe".into(),
    }
}

fn pause_after(last: Duration, lived: Duration) -> Duration {
    if lived >= SOUND { FIRST } else { (last * 2).clamp(FIRST, LONGEST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_it_is_sound_again() {
        let mut pause = Duration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pause = pause_after(pause, Duration::from_millis(3));
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause_after(pause, SOUND), FIRST);
    }
}
