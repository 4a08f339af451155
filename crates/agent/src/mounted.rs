//! What is done when filesystems come and go: they are guarded, watched and looked through, or forgotten.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};

use crate::core::Core;
use crate::elsewhere;
use crate::filesystems::{Filesystem, Follower, State, Told};
use crate::guard::client::Guard;
use crate::places::guards_all;
use crate::sweep::Errands;
use crate::watch::Marker;

/// How often is tried again what could not be watched or looked through.
const AGAIN: Duration = Duration::from_secs(30);

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
        let mut again = Instant::now() + AGAIN;
        loop {
            match newest(&told, again) {
                Ok(told) => take(&core, &told, &marker, &errands),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    again = Instant::now() + AGAIN;
                    // What has changed meanwhile went unnoticed.
                    marker.try_again(&core.places).into_iter().for_each(|point| errands.below(point));
                    errands.try_again();
                }
            }
        }
    })?;
    Ok(())
}

/// The last that was told, whenever something was. What came before it is out of date.
fn newest(told: &Receiver<Told>, until: Instant) -> Result<Told, RecvTimeoutError> {
    let first = told.recv_deadline(until)?;
    Ok(told.try_iter().last().unwrap_or(first))
}

fn take(core: &Core, told: &Told, marker: &Marker, errands: &Errands) {
    if core.places.looks_elsewhere() {
        elsewhere::set(told.elsewhere.clone());
    }
    let change = core.places.update(told);
    // Before anything is looked for that is not there any more: it may only be mounted no more.
    core.inventory.set_seats(core.places.seats());
    change.other.iter().for_each(|place| marker.mark(place));
    for root in change.come.into_iter().chain(change.gone) {
        errands.no_more_left_out(&root);
        errands.below(root);
    }
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
