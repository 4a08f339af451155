//! Large files whose content is certain as long as their identity is the same, so that an act need not read them.
//!
//! Certain means: at one moment nobody had the file open for writing, its ctime was older than a clock tick, and what was
//! read since then was read from that same identity. On the filesystems where the guard believes a ctime, whoever writes
//! after that moment leaves another one.

use std::collections::{HashMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use model::Digests;
use model::facts::Facts;
use parking_lot::Mutex;
use sys::identity::{Identity, Stat};
use sys::lease::Lease;

use crate::digest::{self, Hashed, Unsteady};
use crate::guard::{is_ctime_believed, is_young};

/// A smaller file is read in no time.
const SMALLEST: u64 = 1 << 20;
/// How many are remembered: about 2 MB.
const MOST: usize = 8192;

/// What is certain.
#[derive(Debug, Default)]
pub struct Vouched(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    files: HashMap<Identity, (Digests, Facts)>,
    /// In the order in which they came.
    order: VecDeque<Identity>,
}

/// A file that nobody was writing to when it was opened to be read.
#[derive(Debug)]
pub struct Claim(Identity);

impl Vouched {
    /// To be asked before a file is read: whether what is read can be certain. Holds a lease for that moment only.
    pub fn claim(&self, file: BorrowedFd<'_>) -> Option<Claim> {
        let stat = Identity::of(file).ok().filter(|stat| stat.size >= SMALLEST)?;
        // Before the lease: nobody is to wait for an answer that does not count.
        stat.identity.filter(|_| is_ctime_believed(file))?;
        let Ok(Lease::Held) = sys::lease::take_read(file) else { return None };
        let claim = certain(file);
        let _ = sys::lease::release(file);
        claim
    }

    /// What was read of the file since, if it is the same still.
    pub fn keep(&self, claim: Option<Claim>, after: &Stat, digests: Digests, facts: &Facts) {
        let Some(Claim(identity)) = claim.filter(|claim| Some(claim.0) == after.identity) else { return };
        let mut remembered = self.0.lock();
        if remembered.files.insert(identity, (digests, facts.clone())).is_none() {
            remembered.order.push_back(identity);
        }
        while remembered.order.len() > MOST {
            if let Some(oldest) = remembered.order.pop_front() {
                remembered.files.remove(&oldest);
            }
        }
    }

    /// What a file of that identity holds, if that is certain.
    pub fn recall(&self, stat: &Stat) -> Option<(Digests, Facts)> {
        self.0.lock().files.get(&stat.identity?).cloned()
    }

    /// As [`digest::hash_steadily`]; what is certain is not read again.
    ///
    /// # Errors
    /// When the content can't be told for certain.
    pub fn hash_steadily(&self, file: BorrowedFd<'_>, patience: Duration) -> Result<Hashed, Unsteady> {
        digest::keep_writers_out(file, patience)?;
        // Now that everybody who wrote has left.
        let stat = Identity::of(file)?;
        if let Some((digests, facts)) = self.recall(&stat) {
            return Ok(Hashed { digests, facts, stat });
        }
        let claim = (stat.size >= SMALLEST && is_ctime_believed(file)).then(|| certain(file)).flatten();
        let hashed = digest::hash_steadily(file, Duration::ZERO)?;
        self.keep(claim, &hashed.stat, hashed.digests, &hashed.facts);
        Ok(hashed)
    }
}

/// While a lease is held.
fn certain(file: BorrowedFd<'_>) -> Option<Claim> {
    let stat = Identity::of(file).ok()?;
    stat.identity.filter(|_| !is_young(stat.ctime_ns, crate::clock::of_stamps())).map(Claim)
}
