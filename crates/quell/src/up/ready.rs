//! Whether all of it works: the API answers, the agent is attached, and what is guarded is in force.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use agent::local::{self, Reply, Request, Status};

use crate::say;

use super::event::Event;

/// What must work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The API alone.
    Api,
    /// An agent, too.
    Agent,
    /// And the sample in the demo can be looked up, and the machine's programs.
    Demo,
}

/// After this what works is told, and what does not.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
const LATE_PAUSE: Duration = Duration::from_millis(500);

/// Looks until all of it works, and sends [`Event::Ready`] once: then, or when the wait is over. What works
/// only later is told when it does.
pub(super) fn watch(data_dir: &Path, api: SocketAddr, wanted: Wanted, events: Sender<Event>) {
    let (news, heard) = mpsc::channel();
    let data_dir = data_dir.to_owned();
    // An agent that hangs holds up who asks it, but not who waits.
    thread::spawn(move || look(&data_dir, api, wanted, &news));
    thread::spawn(move || {
        let lacking = lacking_at(Instant::now() + PATIENCE, &heard);
        let late = lacking.is_some();
        // The main thread may have ended meanwhile.
        if events.send(Event::Ready(lacking)).is_ok() && late && heard.iter().any(|news| news.is_none()) {
            say::aside("now all of it works");
        }
    });
}

/// Tells what is lacking, again and again, until nothing is.
fn look(data_dir: &Path, api: SocketAddr, wanted: Wanted, news: &Sender<Option<String>>) {
    let since = Instant::now();
    loop {
        let lacking = match answers(api) {
            Err(error) => Some(format!("the API does not answer: {error}")),
            Ok(()) if wanted == Wanted::Api => None,
            Ok(()) => lacking(data_dir, wanted),
        };
        let done = lacking.is_none();
        if news.send(lacking).is_err() || done {
            return;
        }
        thread::sleep(if since.elapsed() < PATIENCE { PAUSE } else { LATE_PAUSE });
    }
}

/// What was lacking last, unless nothing is before the deadline.
fn lacking_at(deadline: Instant, heard: &Receiver<Option<String>>) -> Option<String> {
    let mut last = "there was no answer".to_owned();
    while let Ok(news) = heard.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        last = news?;
    }
    Some(last)
}

/// Any answer will do.
fn answers(api: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&api, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(stream, "GET /api/quell/status HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n\r\n")?;
    stream.read_exact(&mut [0; 5])
}

fn lacking(data_dir: &Path, wanted: Wanted) -> Option<String> {
    match local::ask(data_dir, Request::Status) {
        Ok(Reply::Status(status)) => lacking_of(&status, wanted).map(str::to_owned),
        Ok(_) => Some("the agent does not run yet".to_owned()),
        Err(error) => Some(format!("the agent does not answer: {error:#}")),
    }
}

fn lacking_of(status: &Status, wanted: Wanted) -> Option<&'static str> {
    if !status.attached {
        return Some("the agent has not reached the server yet");
    }
    let nothing_guarded = status.guard_level == "none";
    if status.guard_level == "released" {
        return Some("the guard is released, `quell agent engage` lifts that");
    }
    if !nothing_guarded && !status.in_force {
        return Some("the guard is not in force yet");
    }
    (wanted == Wanted::Demo && !status.programs_complete).then_some("not every program can be looked up yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_ends_whoever_hangs() {
        let (news, heard) = mpsc::channel();
        let soon = || Instant::now() + Duration::from_millis(1);
        assert!(lacking_at(soon(), &heard).unwrap().contains("no answer"));
        news.send(Some("the guard".to_owned())).unwrap();
        assert_eq!(lacking_at(soon(), &heard).as_deref(), Some("the guard"));
        news.send(None).unwrap();
        assert_eq!(lacking_at(soon(), &heard), None);
    }

    #[test]
    fn attached_and_in_force_is_ready() {
        let status = |attached, level: &str, in_force| {
            let status = Status { attached, guard_level: level.into(), in_force, ..Status::default() };
            lacking_of(&status, Wanted::Agent)
        };
        assert_eq!(status(true, "deny", true), None);
        assert_eq!(status(true, "none", false), None);
        assert!(status(false, "deny", true).unwrap().contains("server"));
        assert!(status(true, "deny", false).unwrap().contains("guard"));
        let swept = Status { attached: true, in_force: true, ..Status::default() };
        assert!(lacking_of(&swept, Wanted::Demo).unwrap().contains("program"));
        assert_eq!(lacking_of(&Status { programs_complete: true, ..swept }, Wanted::Demo), None);
        assert!(status(true, "absent", false).unwrap().contains("guard"));
    }
}
