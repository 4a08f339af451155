//! A file by a descriptor, with or without a name.

use crate::scene::{Payload, Scene, Trial};

/// A named file, by one of the roads in `run.c`.
pub(crate) fn by(road: &str, scene: &mut Scene, payload: &Payload) -> Trial {
    let file = scene.place(payload, "payload");
    scene.run(payload, road, &file)
}

/// A file that never had a name on the guarded filesystem.
pub(crate) fn tmpfile(scene: &mut Scene, payload: &Payload) -> Trial {
    let dir = scene.fresh_dir();
    let became = scene.hand.run("tmpfile", &payload.form("payload"), &dir, 0);
    crate::scene::trial(payload, became)
}

/// A file in memory; its bytes come from where nothing is guarded.
pub(crate) fn memory(road: &str, scene: &mut Scene, payload: &Payload) -> Trial {
    scene.run(payload, road, &payload.form("payload"))
}
