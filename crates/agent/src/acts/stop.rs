//! Every process that runs the file ends.

use std::collections::BTreeSet;
use std::path::PathBuf;

use parking_lot::Mutex;

use super::Grounds;
use super::recognize::Recognizer;
use super::services::{self, Services};
use crate::elsewhere;
use crate::running::{Depth, Look, Piece, Reach, hunt};

/// What was stopped, and what was not.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    pub(super) count: u32,
    /// Why a process that runs the file may still be there.
    pub(super) failures: BTreeSet<String>,
    /// From where the file was run: perhaps copies that nobody knew.
    pub(super) seen: BTreeSet<PathBuf>,
    /// What was stopped with them.
    pub(super) services: Vec<String>,
}

/// Stops until a whole look at all processes finds none.
pub(super) fn stop(grounds: &Grounds, recognizer: &mut Recognizer) -> Stopped {
    let mut stopped = Stopped::default();
    let scripts = (!recognizer.is_machine_code).then(|| recognizer.interpreters.clone());
    let look = match Look::new(scripts) {
        Ok(look) => look,
        Err(error) => {
            stopped.failures.insert(format!("nobody can say who runs it: {error}"));
            return stopped;
        }
    };
    let reach = Reach::new(grounds, &look);
    let recognizer = Mutex::new(recognizer);
    let never = Mutex::new(BTreeSet::new());
    let mut stopped_in = Services::new();
    let meant = |pid: i32, depth: Depth| {
        let found = runs(&reach, &recognizer, pid, depth)?;
        if reach.may_end(pid) {
            let (piece, path) = found;
            // Its path means another place here, where it is elsewhere.
            let path = elsewhere::as_known_here(piece.state.device, &path).unwrap_or(path);
            return Some((piece, (path, services::of(pid))));
        }
        never.lock().insert(format!("process {pid} runs it, and is never stopped"));
        None
    };
    match hunt(&look, &|| {}, &meant) {
        Ok(hunted) => {
            stopped.count = u32::try_from(hunted.ended.len()).unwrap_or(u32::MAX);
            let left = hunted.left.iter();
            stopped.failures.extend(left.map(|(pid, _, why)| format!("process {pid}: {why}")));
            if !hunted.is_complete {
                stopped.failures.insert("new processes that run it were still being started".to_owned());
            }
            for (pid, (path, service)) in hunted.ended {
                stopped.seen.insert(path);
                if let Some(service) = service {
                    stopped_in.add(service, pid);
                }
            }
            stopped.seen.extend(hunted.left.into_iter().map(|(_, (path, _), _)| path));
            stopped.services = stopped_in.stop(&mut stopped.failures);
        }
        Err(error) => {
            stopped.failures.insert(format!("/proc can't be read: {error}"));
        }
    }
    stopped.failures.append(&mut never.lock());
    stopped
}

/// As what and from where the process runs the file, if it does.
fn runs(
    reach: &Reach<'_>,
    recognizer: &Mutex<&mut Recognizer>,
    pid: i32,
    depth: Depth,
) -> Option<(Piece, PathBuf)> {
    let mut from = None;
    reach.look.pieces(pid, depth, &mut |piece: Piece| {
        from = is_the_file(reach, recognizer, &piece).map(|path| (piece, path));
        from.is_none()
    });
    from
}

fn is_the_file(reach: &Reach<'_>, recognizer: &Mutex<&mut Recognizer>, piece: &Piece) -> Option<PathBuf> {
    if !reach.is_guarded(piece) {
        return None;
    }
    let digests = recognizer.lock().recognize(reach.look, piece)?;
    let path = piece.path(reach.look);
    reach.spared_by(piece, &path, &digests.sha256).is_none().then_some(path)
}
