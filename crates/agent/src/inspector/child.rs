//! The helper, as the agent sees it: started, asked, and ended when it takes too long or says what makes no sense.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use model::inspection::Inspection;
use model::{Sha256, Time};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sha2::Digest;
use sys::socket::{self, Kind};
use wire::link::inspection::LARGEST as RECORD;
use wire::link::v1::{self, inspect_reply};
use wire::link::{Malformed, frame};

use crate::looking::Halt;

/// How the helper is started: the program and what it is told. It gets this process's id as its last argument, and asks
/// on its standard input.
#[derive(Clone, Debug)]
pub struct Helper(pub Vec<OsString>);

/// What a file may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// By then it is ended, if the processor was its own meanwhile.
    pub(super) soon: Duration,
    /// What it must have had of the processor for that to be the file's doing.
    pub(super) processor: Duration,
    /// By then it is ended in any case.
    pub(super) late: Duration,
}

/// Ten seconds; a machine that is busy, or waits for a disk, is no property of the file.
pub(super) const PATIENCE: Patience = Patience {
    soon: Duration::from_secs(10),
    processor: Duration::from_secs(5),
    late: Duration::from_secs(60),
};
/// One that has used more is replaced before its limit ends it in the middle of a file.
const WORN: Duration = Duration::from_secs(30);
/// How often is looked whether the agent stops.
const TICK: Duration = Duration::from_millis(100);
/// One that was killed and is not gone by then waits for a disk that does not answer.
const BURIAL: Duration = Duration::from_secs(2);

/// A running helper. It is ended when this is dropped.
pub(super) struct Running {
    child: Child,
    socket: OwnedFd,
}

/// What it said.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it lives for a moment")]
pub(super) enum Answer {
    /// The file's record.
    Inspected(Inspection),
    /// The file is not what it was thought to be, or changed.
    Changed,
    /// It can't be read.
    Unreadable(String),
}

/// Why it said nothing. It is of no use any more.
#[derive(Debug)]
pub(super) enum Broken {
    /// It was gone before it was asked.
    Gone,
    /// It ended over the file; how, if that is known.
    Ended(Option<ExitStatus>),
    /// It computed for too long.
    TimedOut,
    /// It took too long without computing.
    Starved,
    /// It said what makes no sense.
    Nonsense,
    /// The agent stops.
    Stopped,
}

impl Running {
    /// Starts one. It ends with the calling thread.
    ///
    /// # Errors
    /// When it can't be started.
    pub(super) fn start(helper: &Helper) -> io::Result<Self> {
        let [program, arguments @ ..] = helper.0.as_slice() else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "nobody is named to inspect"));
        };
        let (socket, theirs) = socket::pair(Kind::Packets)?;
        let mut command = Command::new(program);
        command.args(arguments).arg(std::process::id().to_string()).env_clear().current_dir("/");
        let child = command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).spawn()?;
        Ok(Self { child, socket })
    }

    /// Hands it a file of nothing. Whoever does not answer to that can't be confined here or lacks memory: it is not a file's
    /// doing.
    ///
    /// # Errors
    /// When it does not answer. It is of no use then.
    pub(super) fn try_out(&mut self, now: Time, patience: Patience, halt: &Halt) -> Result<(), Broken> {
        let nothing = File::open("/dev/null").map_err(|_| Broken::Starved)?;
        let wanted = Sha256(sha2::Sha256::digest([]).into());
        match self.ask(nothing.as_fd(), wanted, now, patience, halt)? {
            Answer::Inspected(_) => Ok(()),
            Answer::Changed | Answer::Unreadable(_) => Err(Broken::Nonsense),
        }
    }

    /// Its process.
    pub(super) fn id(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// What it has had of the processor; nothing where the kernel does not tell.
    pub(super) fn ran(&self) -> Duration {
        sys::scheduling::computed(self.id()).unwrap_or_default()
    }

    /// Whether another one is to take its place.
    pub(super) fn is_worn(&self) -> bool {
        self.ran() >= WORN
    }

    /// Hands it a file.
    pub(super) fn ask(
        &mut self,
        file: BorrowedFd<'_>,
        wanted: Sha256,
        now: Time,
        patience: Patience,
        halt: &Halt,
    ) -> Result<Answer, Broken> {
        let request = v1::InspectRequest { sha256: wanted.0.to_vec(), now: now.ticks() };
        let before = self.ran();
        // It waits for this, or is gone.
        if socket::send(self.socket.as_fd(), &frame::body(&request), &[file], true).is_err() {
            return Err(Broken::Gone);
        }
        let begun = Instant::now();
        while !self.has_answered() {
            if halt.is_asked() {
                return Err(Broken::Stopped);
            }
            let took = begun.elapsed();
            let computed = sys::scheduling::computed(self.id()).map(|ran| ran.saturating_sub(before));
            if took >= patience.soon && computed.is_ok_and(|computed| computed >= patience.processor) {
                return Err(Broken::TimedOut);
            }
            if took >= patience.late {
                return Err(Broken::Starved);
            }
        }
        let mut reply = vec![0; RECORD + 1024];
        let received = socket::receive(self.socket.as_fd(), &mut reply, &mut []);
        match received {
            Ok(received) if received.truncated => Err(Broken::Nonsense),
            Ok(received) if received.length > 0 => {
                understood(&reply[..received.length]).map_err(|_| Broken::Nonsense)
            }
            Ok(_) | Err(_) => Err(Broken::Ended(self.buried())),
        }
    }

    fn has_answered(&self) -> bool {
        let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
        let mut asked = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN)];
        matches!(poll(&mut asked, Some(&tick)), Ok(1..))
    }

    /// How it ended, if it has.
    fn buried(&mut self) -> Option<ExitStatus> {
        let until = Instant::now() + BURIAL;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
                _ => return None,
            }
        }
    }

    /// Ends it. What comes back is one that can't be ended now.
    pub(super) fn end(mut self) -> Option<Self> {
        let _ = self.child.kill();
        if self.buried().is_some() { None } else { Some(self) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        self.buried();
    }
}

fn understood(bytes: &[u8]) -> Result<Answer, Malformed> {
    let reply: v1::InspectReply = frame::decode(bytes).map_err(|_| Malformed("reply"))?;
    match reply.result.ok_or(Malformed("reply"))? {
        inspect_reply::Result::Inspection(told) => told.try_into().map(Answer::Inspected),
        inspect_reply::Result::Changed(_) => Ok(Answer::Changed),
        inspect_reply::Result::Unreadable(why) if why.len() <= 1024 => Ok(Answer::Unreadable(why)),
        inspect_reply::Result::Unreadable(_) => Err(Malformed("reason")),
    }
}
