//! Scripts: run by the kernel, given to an interpreter, read from its standard input.

use std::fs::File;
use std::process::Command;

use crate::scene::{Payload, Scene, Trial, trial_by};

pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

pub(crate) fn shebang(scene: &mut Scene, payload: &Payload) -> Trial {
    let script = scene.place(payload, "run.sh");
    scene.run(payload, "path", &script)
}

/// `INTERPRETER script`.
pub(crate) fn given_to(interpreter: &str, form: &str, scene: &mut Scene, payload: &Payload) -> Trial {
    let script = scene.place(payload, form);
    trial_by(payload, Command::new(interpreter).arg(script))
}

/// `sh script`, while somebody could still write to it.
pub(crate) fn with_writer(scene: &mut Scene, payload: &Payload) -> Trial {
    let script = scene.place(payload, "run.sh");
    let _writer = File::options().append(true).open(&script).unwrap();
    trial_by(payload, Command::new("sh").arg(script))
}

/// A line for the shell with the script's path in it.
pub(crate) fn in_shell(line: &str, scene: &mut Scene, payload: &Payload) -> Trial {
    let script = scene.place(payload, "run.sh");
    trial_by(payload, Command::new("sh").args(["-c", line, "sh"]).arg(script))
}
