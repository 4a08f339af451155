//! What is done when filesystems come and go: they are guarded, watched and looked through, or forgotten.

use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Receiver, unbounded};

use crate::core::Core;
use crate::elsewhere;
use crate::filesystems::{Filesystem, Follower, State, Told};
use crate::guard::client::Guard;
use crate::places::guards_all;
use crate::sweep::Errands;
use crate::watch::Marker;

/// Follows what is mounted from now on.
///
/// # Errors
/// When nothing can be heard of mounts, or there is no thread to be had.
pub(crate) fn follow(
    core: &Arc<Core>,
    guarded: &[PathBuf],
    marker: Marker,
    errands: Errands,
) -> anyhow::Result<()> {
    let (tell, told) = unbounded();
    let is_chosen = guards_all(guarded);
    let marks = core.guard.as_ref().map(Guard::marks);
    let hear = move |news: Told| drop(tell.send(news));
    let follower = Follower::start(marks, core.places.looks_elsewhere(), move |_| is_chosen, hear)?;
    let core = core.clone();
    // Not by the follower: places are opened here, by paths that may have changed meanwhile.
    std::thread::Builder::new().name("places".to_owned()).spawn(move || {
        let _follower = follower;
        while let Some(told) = newest(&told) {
            take(&core, &told, &marker, &errands);
        }
    })?;
    Ok(())
}

/// The last that was told, whenever something was. What came before it is out of date.
fn newest(told: &Receiver<Told>) -> Option<Told> {
    let first = told.recv().ok()?;
    Some(told.try_iter().last().unwrap_or(first))
}

fn take(core: &Core, told: &Told, marker: &Marker, errands: &Errands) {
    if core.places.looks_elsewhere() {
        elsewhere::set(told.elsewhere.clone());
    }
    let change = core.places.update(told);
    // Before anything is looked for that is not there any more: it may only be mounted no more.
    core.inventory.set_seats(core.places.seats());
    change.other.iter().for_each(|place| marker.mark(place));
    change.come.into_iter().chain(change.gone).for_each(|root| errands.below(root));
    let places = core.places.now();
    let with_watched = |filesystem: &Filesystem| {
        let mut filesystem = filesystem.clone();
        let is_watched = places.iter().any(|place| place.mount.device == filesystem.device);
        if filesystem.state == State::NotChosen && is_watched {
            filesystem.state = State::Watched;
        }
        filesystem
    };
    let filesystems = told.filesystems.values().map(with_watched).collect();
    core.filesystems.store(Arc::new(filesystems));
}
