//! Processes that run a script: the kernel knows only their interpreter.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use sys::state::State;

use super::interpreter::Interpreter;
use super::look::Look;

/// Options behind which comes code, not the name of a script.
const CODE: [&str; 2] = ["-c", "-m"];
/// How many arguments may hold the script's name.
const ARGUMENTS: usize = 3;
/// Under which numbers bash and dash hold the script that they run.
const SHELLS: [i32; 2] = [255, 10];

/// How a script was found.
#[derive(Debug)]
pub(super) enum Found {
    /// By its name.
    Held(OwnedFd),
    /// As an open file of the process: a link in /proc.
    Open(String),
}

/// Files that a process may be running as scripts; none unless its program is an interpreter: one that everybody
/// knows, or one of those `named`.
pub(super) fn candidates(look: &Look, named: &HashSet<Interpreter>, pid: i32) -> Vec<(State, Found)> {
    let Ok(program) = sys::processes::executable_path(pid) else { return Vec::new() };
    let program = Interpreter::program(&program);
    if !program.runs_scripts(named) {
        return Vec::new();
    }
    let arguments = sys::processes::arguments(pid).unwrap_or_default();
    let mut candidates = Vec::new();
    candidates.extend(started_on(&arguments, &|argument| {
        if let Some(number) = descriptor(argument) {
            let link = format!("{pid}/fd/{number}");
            return Some((look.processes.state(&link)?, Found::Open(link)));
        }
        let file = hold(look, pid, argument).ok()?;
        Some((State::of(&file).ok()??, Found::Held(file)))
    }));
    // Another interpreter that has the file open may only be reading it for its user.
    let is_meant = program.may_hold_its_script() && program.is_meant_by(named);
    if is_meant || program.is_shell() {
        candidates.extend(
            sys::processes::open_files(pid)
                .filter(|file| is_meant || SHELLS.contains(&file.number))
                .filter(|file| is_held_like_a_script(pid, file.number))
                .filter_map(|file| {
                    let link = format!("{pid}/fd/{}", file.number);
                    Some((look.processes.state(&link)?, Found::Open(link)))
                }),
        );
    }
    candidates
}

/// The script is the first argument that is no option and is a file; what follows is its own.
fn started_on<T>(arguments: &[OsString], resolve: &dyn Fn(&OsStr) -> Option<T>) -> Option<T> {
    arguments
        .iter()
        .skip(1)
        .take(ARGUMENTS)
        .take_while(|argument| !CODE.iter().any(|code| argument.as_os_str() == *code))
        .filter(|argument| !argument.as_bytes().starts_with(b"-"))
        .find_map(|argument| resolve(argument))
}

/// Which of its own open files a process means: the kernel gives a script that was executed by descriptor such a
/// name.
fn descriptor(argument: &OsStr) -> Option<i32> {
    let name = argument.to_str()?;
    name.strip_prefix("/dev/fd/").or_else(|| name.strip_prefix("/proc/self/fd/"))?.parse().ok()
}

/// Takes hold of the file that a process means by a path.
///
/// No filesystem is asked that might not answer: either the whole way is in the kernel's memory, as it is for what
/// runs, or it does not leave the local filesystem that it begins on.
fn hold(look: &Look, pid: i32, argument: &OsStr) -> Result<OwnedFd, Errno> {
    let path = Path::new(argument);
    let (start, path, within) = match path.strip_prefix("/") {
        Ok(below) => (format!("/proc/{pid}/root"), below, ResolveFlags::IN_ROOT),
        Err(_) => (format!("/proc/{pid}/cwd"), path, ResolveFlags::empty()),
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let start = rustix::fs::open(start, flags | OFlags::DIRECTORY, Mode::empty())?;
    let within = within | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(&start, path, flags, Mode::empty(), within | ResolveFlags::CACHED) {
        Err(Errno::AGAIN) => {}
        outcome => return outcome,
    }
    let stat =
        rustix::fs::statx(&start, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
    let device = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor);
    if !look.filesystem(device, pid).is_some_and(|filesystem| filesystem.is_local) {
        return Err(Errno::XDEV);
    }
    rustix::fs::openat2(&start, path, flags, Mode::empty(), within | ResolveFlags::NO_XDEV)
}

/// Interpreters hold their script for reading only, closed to programs that they start, and not as standard
/// input, output or error: so a shell that reads a file for its user is told apart.
fn is_held_like_a_script(pid: i32, descriptor: i32) -> bool {
    const ACCESS: u32 = 0o3;
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).unwrap_or_default();
    descriptor > 2 && flags_of(&text).is_some_and(|flags| flags & ACCESS == 0 && flags & CLOSE_ON_EXEC != 0)
}

fn flags_of(text: &str) -> Option<u32> {
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(flags.trim(), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_argument_that_is_a_file_is_the_script() {
        let cases: [(&[&str], Option<&str>); 9] = [
            (&["sh", "./evil"], Some("./evil")),
            (&["bash", "-x", "evil"], Some("evil")),
            (&["bash", "-o", "pipefail", "evil"], Some("evil")),
            (&["bash", "other", "evil"], Some("other")),
            (&["bash", "-x", "other", "evil"], Some("other")),
            (&["sh", "-c", "evil"], None),
            (&["bash"], None),
            (&["evil"], None),
            (&["python", "-a", "-b", "-d", "evil"], None),
        ];
        for (arguments, script) in cases {
            let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
            let exists = |argument: &OsStr| (argument != "pipefail").then(|| argument.to_owned());
            assert_eq!(started_on(&arguments, &exists).as_deref(), script.map(OsStr::new), "{arguments:?}");
        }
    }

    #[test]
    fn a_descriptor_may_stand_for_a_script() {
        assert_eq!(descriptor(OsStr::new("/dev/fd/63")), Some(63));
        assert_eq!(descriptor(OsStr::new("/proc/self/fd/3")), Some(3));
        assert_eq!(descriptor(OsStr::new("/dev/fd/x")), None);
    }

    #[test]
    fn flags_are_octal() {
        assert_eq!(flags_of("pos:\t0\nflags:\t02100000\nmnt_id:\t29\n"), Some(0o2_100_000));
        assert_eq!(flags_of("pos:\t0\n"), None);
    }
}
