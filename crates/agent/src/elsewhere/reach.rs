//! The way to a mount of another namespace. A thread of its own goes there each time: who has entered another mount
//! namespace can't come back with all it had, and whoever waits for it does so only for a while.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::io::Errno;
use sys::mounts::{Namespace, Visitor, lasting_name, namespace_of, namespaces};

use super::{Elsewhere, label};

/// How long one is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many may hang in namespaces of users' own, and as many in others: users must not keep us from root's.
const MOST_STUCK: usize = 8;
/// What little they do needs no more.
const STACK: usize = 128 << 10;

/// Who is on the way.
static UNDERWAY: Mutex<Vec<Arc<Errand>>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Errand {
    namespace: u64,
    is_of_our_users: bool,
    since: Instant,
}

/// Registered for as long as it lives.
struct Underway(Arc<Errand>);

impl Underway {
    /// ETIMEDOUT where somebody hangs there already.
    fn begin(there: &Elsewhere) -> io::Result<Self> {
        let errand = Errand {
            namespace: there.namespace,
            is_of_our_users: there.is_of_our_users,
            since: Instant::now(),
        };
        let mut underway = UNDERWAY.lock();
        let hangs = |other: &&Arc<Errand>| other.since.elapsed() > PATIENCE;
        let is_bad = underway.iter().filter(hangs).any(|other| other.namespace == errand.namespace);
        let stuck = underway.iter().filter(hangs);
        let stuck = stuck.filter(|other| other.is_of_our_users == errand.is_of_our_users).count();
        if is_bad || stuck >= MOST_STUCK {
            return Err(Errno::TIMEDOUT.into());
        }
        let errand = Arc::new(errand);
        underway.push(errand.clone());
        Ok(Self(errand))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        UNDERWAY.lock().retain(|other| !Arc::ptr_eq(other, &self.0));
    }
}

/// Opens the root of a filesystem, if it is still the one that was met there.
pub(super) fn open(there: &Elsewhere) -> io::Result<OwnedFd> {
    let underway = Underway::begin(there)?;
    let (tell, told) = crossbeam_channel::bounded(1);
    let there = there.clone();
    std::thread::Builder::new().name("elsewhere".to_owned()).stack_size(STACK).spawn(move || {
        // A sweep that asks runs when nobody else does; whoever waits for the same namespace must not wait for that.
        sys::process::run_ordinarily();
        let opened = go(&there);
        drop(underway);
        let _ = tell.send(opened);
    })?;
    told.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(Errno::TIMEDOUT.into()))
}

fn go(there: &Elsewhere) -> io::Result<OwnedFd> {
    let visitor = Visitor::new()?;
    visitor.enter(&namespace(there.namespace)?)?;
    let mount = sys::mounts::Mount { point: there.inside.clone(), ..there.mount.clone() };
    let root = visitor.open(&mount)?;
    if lasting_name(root.as_fd())? != there.lasting {
        return Err(Errno::STALE.into());
    }
    Ok(root)
}

/// By a process that was seen there, and else among all there are.
fn namespace(id: u64) -> io::Result<Namespace> {
    if let Some(Ok(namespace)) = label::process_in(id).map(|pid| namespace_of(pid, id)) {
        return Ok(namespace);
    }
    namespaces()?.find(|namespace| namespace.id == id).ok_or_else(|| Errno::NOENT.into())
}
