//! Processes that run a script: the kernel knows only their interpreter.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::interpreter::Interpreter;
use super::recognize::{Recognizer, State};

/// Options behind which comes code, not the name of a script.
const CODE: [&str; 2] = ["-c", "-m"];
/// How many arguments may hold the script's name.
const ARGUMENTS: usize = 3;
/// Under which numbers bash and dash hold the script that they run.
const SHELLS: [i32; 2] = [255, 10];

/// Files that a process may be running as scripts; none unless its program is an interpreter.
pub(super) fn candidates(recognizer: &Recognizer, pid: i32) -> Vec<(PathBuf, State)> {
    if recognizer.is_machine_code {
        return Vec::new();
    }
    let Ok(program) = sys::processes::executable_path(pid) else { return Vec::new() };
    let program = Interpreter::program(&program);
    if !program.runs_scripts(&recognizer.interpreters) {
        return Vec::new();
    }
    let with_state = |path: PathBuf| State::of(&path).map(|state| (path, state));
    let arguments = sys::processes::arguments(pid).unwrap_or_default();
    let mut candidates = Vec::new();
    candidates.extend(started_on(&arguments, &|argument| with_state(seen_from(pid, argument))));
    // Another interpreter that has the file open may only be reading it for its user.
    let is_meant = program.may_hold_its_script() && program.is_meant_by(&recognizer.interpreters);
    candidates.extend(
        sys::processes::open_files(pid)
            .filter(|file| is_meant || (program.is_shell() && SHELLS.contains(&file.number)))
            .filter(|file| is_held_like_a_script(pid, file.number))
            .filter_map(|file| with_state(format!("/proc/{pid}/fd/{}", file.number).into())),
    );
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

/// The path that a process means.
fn seen_from(pid: i32, argument: &OsStr) -> PathBuf {
    let path = Path::new(argument);
    match path.strip_prefix("/") {
        Ok(below) => PathBuf::from(format!("/proc/{pid}/root")).join(below),
        Err(_) => PathBuf::from(format!("/proc/{pid}/cwd")).join(path),
    }
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
    fn flags_are_octal() {
        assert_eq!(flags_of("pos:\t0\nflags:\t02100000\nmnt_id:\t29\n"), Some(0o2_100_000));
        assert_eq!(flags_of("pos:\t0\n"), None);
    }
}
