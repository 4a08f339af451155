//! A file through other mounts, and files on filesystems that come later. All of them are made in a mount namespace of
//! the hand's child, and go with it.

use crate::scene::{Payload, Scene, Trial};

/// A guarded file, by one of the roads in `run.c`.
pub(crate) fn of_guarded(road: &str, scene: &mut Scene, payload: &Payload) -> Trial {
    let file = scene.place(payload, "payload");
    scene.run(payload, road, &file)
}

/// A guarded file that an overlay copies to a new filesystem.
pub(crate) fn copied_up(scene: &mut Scene, payload: &Payload) -> Trial {
    let file = scene.place(payload, "payload");
    scene.run_marked(payload, "overlay-copied-up", &file)
}

/// A file that comes from where nothing is guarded to a filesystem that is mounted for it.
pub(crate) fn new(road: &str, scene: &mut Scene, payload: &Payload) -> Trial {
    scene.run_marked(payload, road, &payload.form("payload"))
}
