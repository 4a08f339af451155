//! Asks a process of its own what is spared, and believes only what makes sense.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use model::spared::Spared;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::link::{frame, v1};

use super::survey::{Finding, Findings};
use super::{State, Surveyed, shape};

/// How the process is started: the program and what it is told. It gets this process's id as its last argument.
#[derive(Clone, Debug)]
pub struct Surveyor(pub Vec<OsString>);

/// By then a survey is done, also on a slow disk and a loaded machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// No answer is longer.
const LARGEST: usize = frame::LARGEST;

impl Surveyor {
    /// Starts the process, and tells it what it is to look for besides.
    ///
    /// # Errors
    /// When it can't be started.
    pub(crate) fn start(&self, wanted: &[&str]) -> io::Result<Asked> {
        let [program, arguments @ ..] = self.0.as_slice() else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "nobody is named to look"));
        };
        let mut command = Command::new(program);
        command.args(arguments).args(wanted).arg(std::process::id().to_string()).env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map(Asked)
    }

    /// Looks anew.
    ///
    /// # Errors
    /// When the process can't be started, takes too long, or says what makes no sense.
    pub(super) fn ask(&self) -> io::Result<Findings> {
        let mut child = self.start(&[])?;
        let said = listen(&mut child, PATIENCE);
        child.end()?;
        let mut said = said?;
        if said.len() < 4 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended and said nothing"));
        }
        let body = said.split_off(4);
        let length = frame::length([said[0], said[1], said[2], said[3]])?;
        if length != body.len() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "its answer breaks off"));
        }
        let survey: v1::Survey = frame::decode(&body)?;
        shape::findings(survey).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// A process that was asked.
pub(crate) struct Asked(Child);

impl Asked {
    /// What it says, for so long.
    ///
    /// # Errors
    /// When that was asked for before.
    pub(crate) fn said_within(&mut self, patience: Duration) -> io::Result<impl Read + use<>> {
        let output = self.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Said { output, until: Instant::now() + patience })
    }

    /// It has nothing more to say, whatever it said.
    pub(crate) fn end(mut self) -> io::Result<()> {
        let _ = self.0.kill();
        self.0.wait().map(drop)
    }
}

/// What a process says until then.
struct Said {
    output: ChildStdout,
    until: Instant,
}

impl Read for Said {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            let mut asked = [PollFd::from_borrowed_fd(self.output.as_fd(), PollFlags::IN)];
            match poll(&mut asked, Some(&left)) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes too long")),
                Ok(_) => return self.output.read(into),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// All that a process says until it closes its output.
fn listen(child: &mut Asked, patience: Duration) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    let most = LARGEST as u64 + 4;
    child.said_within(patience)?.take(most + 1).read_to_end(&mut said)?;
    if said.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its answer is too long"));
    }
    Ok(said)
}

/// What the findings mean under a baseline: what was recorded at enrolment of copies that no package vouches for.
/// Without one this is the enrolment, and what lies there is what is recorded. `own` is the path of this very program,
/// which vouches for itself, over its own upgrades too.
pub(super) fn judge(
    findings: Vec<Finding>,
    baseline: &[Spared],
    own: Option<&std::path::Path>,
) -> Vec<Surveyed> {
    let judge = |finding: Finding| {
        let known = baseline.iter().find(|known| known.path == finding.path);
        let (database, package, state) = match finding.package {
            Some((database, package, true)) => (Some(database), package, State::Matches),
            // Its package says otherwise: somebody has replaced it.
            Some((database, package, false)) => (Some(database), package, State::Differs),
            None => {
                let state = match known {
                    _ if own == Some(&finding.path) || baseline.is_empty() => State::Matches,
                    Some(known) if known.digests == finding.digests => State::Matches,
                    Some(_) => State::Differs,
                    None => State::Unrecorded,
                };
                (None, String::new(), state)
            }
        };
        let Finding { path, digests, why, .. } = finding;
        Surveyed { path, digests, database, package, state, why }
    };
    findings.into_iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spared::Database;
    use model::spared::Record;
    use model::{Digests, Md5, Sha1, Sha256};

    fn digests(byte: u8) -> Digests {
        Digests { sha256: Sha256([byte; 32]), sha1: Sha1([byte; 20]), md5: Md5([byte; 16]) }
    }

    fn state(package: Option<bool>, baseline: &[(&str, u8)]) -> State {
        let package = package.map(|matches| (Database::Dpkg, "bash".to_owned(), matches));
        let finding =
            Finding { path: "/bin/sh".into(), digests: digests(1), package, why: "login shell".to_owned() };
        let spared = |(path, byte): &(&str, u8)| Spared {
            path: path.into(),
            digests: digests(*byte),
            recorded_by: Record::Baseline,
        };
        let baseline: Vec<_> = baseline.iter().map(spared).collect();
        judge(vec![finding], &baseline, Some("/usr/bin/quell".as_ref()))[0].state
    }

    #[test]
    fn what_no_package_knows_is_spared_only_as_it_was_at_enrolment() {
        assert_eq!(state(None, &[]), State::Matches, "this is the enrolment");
        assert_eq!(state(None, &[("/bin/sh", 1)]), State::Matches);
        assert_eq!(state(None, &[("/bin/sh", 2)]), State::Differs);
        assert_eq!(state(None, &[("/bin/bash", 1)]), State::Unrecorded);
    }

    #[test]
    fn a_package_decides_where_one_knows() {
        assert_eq!(state(Some(true), &[("/bin/sh", 2)]), State::Matches, "upgraded");
        assert_eq!(state(Some(false), &[("/bin/sh", 1)]), State::Differs);
        assert_eq!(state(Some(false), &[]), State::Differs, "at enrolment, too");
    }

    fn said_by(script: &str, patience: Duration) -> io::Result<Vec<u8>> {
        let mut child = Surveyor(["/bin/sh", "-c", script].map(Into::into).to_vec()).start(&[]).unwrap();
        let said = listen(&mut child, patience);
        child.end().unwrap();
        said
    }

    #[test]
    fn who_says_too_much_or_nothing_is_given_up() {
        let long = Duration::from_secs(60);
        assert_eq!(said_by("printf abc", long).unwrap(), b"abc");
        assert_eq!(said_by("exec cat /dev/zero", long).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let silent = said_by("exec sleep 60", Duration::from_millis(100));
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_is_no_survey_is_refused() {
        let ask = |script: &str| Surveyor(["/bin/sh", "-c", script].map(Into::into).to_vec()).ask();
        for script in ["exit 1", "printf abc", "printf '\\377\\377\\377\\377x'", "printf '\\001\\0\\0\\0'"] {
            ask(script).unwrap_err();
        }
        ask("printf '\\004\\0\\0\\0\\377\\377\\377\\377'").unwrap_err();
        assert_eq!(ask("printf '\\0\\0\\0\\0'").unwrap(), Findings::default());
        Surveyor(Vec::new()).ask().unwrap_err();
    }
}
