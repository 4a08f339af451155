//! A file that was known as innocent, had run, and was then given other content.

use std::thread::sleep;

use crate::arena::SETTLED;
use crate::hand::Became;
use crate::scene::{Payload, Scene, Trial, trial};

/// By one of the ways in `change.c`; it runs at once.
pub(crate) fn by(way: &str, scene: &mut Scene, payload: &Payload) -> Trial {
    let before = scene.before.clone();
    let file = scene.place(&before, "payload");
    sleep(SETTLED);
    for _ in 0..2 {
        assert_eq!(scene.hand.run_path(&file), Became::Exit(i32::from(before.status)));
    }
    let became = scene.hand.change_and_run(way, &file, &payload.form("payload"));
    trial(payload, became)
}
