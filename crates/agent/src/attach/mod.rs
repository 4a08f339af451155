//! The machine's end of the link: attaches to the server, again and again, and carries what either has to say.
//!
//! Nothing is lost with a connection: rules are asked for by position, sightings and outcomes wait on the disk
//! until the server says that it has stored them.

mod session;
#[cfg(test)]
mod tests;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::collecting::LinkEnd;
use crate::core::{Core, Nudge};
use crate::inspector;

/// The first and the longest wait between two attempts.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Attaches until the agent stops.
pub(crate) fn run(
    core: &Arc<Core>,
    socket: &Path,
    nudges: &Receiver<Nudge>,
    taken: &Sender<()>,
    samples: &LinkEnd,
    inspections: &inspector::LinkEnd,
) {
    let mut wait = BACK_OFF.0;
    let mut whole = false;
    while !core.halt.is_asked() {
        match UnixStream::connect(socket) {
            Ok(stream) => {
                let ended = session::run(core, stream, nudges, taken, (samples, inspections), whole);
                let was_attached = core.attached.swap(false, Ordering::Relaxed);
                // A server that is refused again and again, or whose word finds no room, is not asked the faster for
                // having answered.
                let is_ours = matches!(ended, session::Ended::Refused(_) | session::Ended::NotKept(_));
                if was_attached && !is_ours {
                    wait = BACK_OFF.0;
                }
                match ended {
                    session::Ended::Stopped => return,
                    session::Ended::Lost(error) => {
                        whole = false;
                        tracing::info!(%error, "the server is gone; enforcement goes on");
                    }
                    session::Ended::NotKept(error) => {
                        whole = false;
                        tracing::error!(%error, "what the server says can't be kept: is there room under the data directory? It is asked again");
                    }
                    session::Ended::Refused(error) => {
                        tracing::error!(%error, "the server's rules don't continue ours; the whole set is asked for");
                        whole = true;
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "the server can't be reached"),
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(BACK_OFF.1);
    }
}
