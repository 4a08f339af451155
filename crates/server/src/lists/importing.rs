//! A list on its way in: its bytes come by one call, a thread reads and sorts them, and nobody else waits for that.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use uuid::Uuid;
use wire::lists::{Format, Tally, Unread};

use super::feed::{self, Feed, Piece};
use super::room::Room;
use super::sorting::Sorting;
use super::{COMING, Lists};

/// A list that can be kept.
pub(crate) struct Made {
    /// Its file's name.
    pub(crate) id: Uuid,
    /// How many digests it holds of each kind, the longest first.
    pub(crate) counts: [u64; 3],
    /// In which form it came,
    pub(crate) format: Format,
    /// how long it was,
    pub(crate) bytes: u64,
    /// its SHA-256,
    pub(crate) version: [u8; 32],
    /// and what became of its entries.
    pub(crate) tally: Tally,
    pub(super) coming: Coming,
    /// No other list comes before this one is kept, and nothing is swept meanwhile.
    _turn: OwnedSemaphorePermit,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unmade {
    /// It could not be read.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// It was read, and has nothing in it.
    #[error("{}", nothing(.0))]
    Nothing(Tally),
    /// The disk failed or is full.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Its reader met a bug.
    #[error("its reader met a bug; the server's log has the place")]
    Panicked,
}

fn nothing(tally: &Tally) -> String {
    let Tally { refused, skipped, problems, .. } = tally;
    let mut text =
        format!("it holds no digest: {refused} entries can't be read, {skipped} are no indicators");
    for problem in problems {
        text.push_str(&format!("; line {}: {}", problem.line, problem.why));
    }
    text
}

/// So long a list waits for its turn: nothing sweeps for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A list on its way in.
pub(crate) struct Importing {
    pieces: mpsc::Sender<Piece>,
    thread: JoinHandle<Result<Made, Unmade>>,
}

impl Lists {
    /// Begins to take a list in; none when another one comes all the while.
    ///
    /// # Errors
    /// When there is no room.
    pub(crate) async fn begin(&self, format: Option<Format>) -> io::Result<Option<Importing>> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turn).acquire_owned());
        let Ok(Ok(turn)) = turn.await else { return Ok(None) };
        let dir = self.dir.join(COMING);
        Room::of(&dir).check()?;
        let (pieces, feed) = feed::new();
        let thread = tokio::task::spawn_blocking(move || make(&dir, feed, format, turn));
        Ok(Some(Importing { pieces, thread }))
    }
}

impl Importing {
    /// Takes the next bytes in. False when the reader wants no more: it has met what ends it.
    pub(crate) async fn take(&self, bytes: Bytes) -> bool {
        self.pieces.send(Piece::Bytes(bytes)).await.is_ok()
    }

    /// That was all.
    pub(crate) async fn done(self) -> Result<Made, Unmade> {
        // A reader that wants no more says why itself.
        let _ = self.pieces.send(Piece::End).await;
        drop(self.pieces);
        self.thread.await.unwrap_or(Err(Unmade::Panicked))
    }
}

fn make(
    dir: &Path,
    mut feed: Feed,
    format: Option<Format>,
    turn: OwnedSemaphorePermit,
) -> Result<Made, Unmade> {
    let id = Uuid::new_v4();
    let room = Room::of(dir);
    let scratch = dir.join(format!("{id}.sorting"));
    let mut sorting = Sorting::new(create(&scratch)?, room.clone());
    // Nobody else needs its name.
    std::fs::remove_file(&scratch)?;
    let (format, tally) = wire::lists::read(&mut feed, format, &mut |digest| sorting.take(digest))?;
    if tally.taken == 0 {
        return Err(Unmade::Nothing(tally));
    }
    let path = dir.join(id.to_string());
    let file = create(&path)?;
    let coming = Coming { path: Some(path) };
    let counts = sorting.finish(file, room)?;
    let (bytes, version) = feed.summary();
    Ok(Made { id, counts, format, bytes, version, tally, coming, _turn: turn })
}

fn create(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// A file that is removed unless it gets a name.
pub(super) struct Coming {
    path: Option<PathBuf>,
}

impl Coming {
    /// Where it is until then.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Gives it a name.
    pub(super) fn moved_to(mut self, place: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            std::fs::rename(path, place)?;
        }
        self.path = None;
        Ok(())
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "a part of a list can't be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_list_waits_for_a_sweep_and_not_for_another_list() {
        let dir = tempfile::tempdir().unwrap();
        let lists = Lists::open(dir.path()).unwrap();
        let turn = Arc::clone(&lists.turn).try_acquire_owned().unwrap();
        assert!(lists.begin(None).await.unwrap().is_none(), "its turn never comes");
        let sweep = async {
            tokio::time::sleep(PATIENCE / 2).await;
            drop(turn);
        };
        let (begun, ()) = tokio::join!(lists.begin(None), sweep);
        assert!(begun.unwrap().is_some());
    }
}
