//! Code that is mapped or read by a process that runs already.

use std::path::PathBuf;
use std::process::Command;

use crate::scene::{Payload, Scene, Trial, trial_by};

/// `ld.so ./program`.
pub(crate) fn loader(scene: &mut Scene, payload: &Payload) -> Trial {
    let file = scene.place(payload, "program");
    let bytes = std::fs::read(&file).unwrap();
    let Some(loader) = interpreter(&bytes) else {
        return Trial::Impossible("programs here name no loader".to_owned());
    };
    trial_by(payload, Command::new(loader).arg(file))
}

/// The loader that a program names.
fn interpreter(bytes: &[u8]) -> Option<PathBuf> {
    let starts = bytes.windows(4).enumerate().filter(|(_, window)| *window == b"/lib");
    let texts = starts.map(|(at, _)| bytes[at..].split(|byte| *byte == 0).next().unwrap_or_default());
    let mut texts = texts.filter_map(|text| str::from_utf8(text).ok()).map(PathBuf::from);
    texts.find(|path| path.is_file())
}

pub(crate) fn preload(scene: &mut Scene, payload: &Payload) -> Trial {
    let library = scene.place(payload, "library");
    trial_by(payload, Command::new(scene.tools.program("host")).env("LD_PRELOAD", library))
}

pub(crate) fn dlopen(scene: &mut Scene, payload: &Payload) -> Trial {
    let library = scene.place(payload, "library");
    trial_by(payload, Command::new(scene.tools.program("host")).arg(library))
}

/// By one of the roads in `run.c`.
pub(crate) fn by(road: &str, scene: &mut Scene, payload: &Payload) -> Trial {
    let file = scene.place(payload, "payload");
    scene.run(payload, road, &file)
}

/// A file that is given other content when it is mapped already.
pub(crate) fn rewritten(scene: &mut Scene, payload: &Payload) -> Trial {
    let file = scene.place(&scene.before.clone(), "payload");
    let became = scene.hand.run("map-rewrite", &file, &payload.form("payload"), 0);
    crate::scene::trial(payload, became)
}
