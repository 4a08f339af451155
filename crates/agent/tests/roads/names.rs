//! A file by whatever name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::scene::{Payload, Scene, Trial};

fn named(
    scene: &mut Scene,
    payload: &Payload,
    name: impl FnOnce(&Path, &Path) -> std::io::Result<()>,
) -> Trial {
    let file = scene.place(payload, "payload");
    let other = file.with_file_name("another name");
    name(&file, &other).unwrap();
    scene.run(payload, "path", &other)
}

pub(crate) fn path(scene: &mut Scene, payload: &Payload) -> Trial {
    let file = scene.place(payload, "payload");
    scene.run(payload, "path", &file)
}

/// Through the loader that the program names.
pub(crate) fn dynamic(scene: &mut Scene, payload: &Payload) -> Trial {
    let file = scene.place(payload, "program");
    scene.run(payload, "path", &file)
}

pub(crate) fn symbolic_link(scene: &mut Scene, payload: &Payload) -> Trial {
    named(scene, payload, |file, other| symlink(file, other))
}

pub(crate) fn hard_link(scene: &mut Scene, payload: &Payload) -> Trial {
    named(scene, payload, |file, other| fs::hard_link(file, other))
}

pub(crate) fn rename(scene: &mut Scene, payload: &Payload) -> Trial {
    named(scene, payload, |file, other| fs::rename(file, other))
}

pub(crate) fn copy(scene: &mut Scene, payload: &Payload) -> Trial {
    named(scene, payload, |file, other| fs::copy(file, other).map(drop))
}
