//! What was written in which order, and what of it a power cut may leave.

use std::fmt::Write;

use super::platter::{Platter, SECTOR};

/// Below this nothing is torn: ext4's superblock has two sectors and one checksum, and no second life.
const WHOLE_BELOW: u64 = 4096;

/// One thing that a disk was told.
pub(super) struct Event {
    pub(super) disk: usize,
    pub(super) what: What,
}

pub(super) enum What {
    Write {
        offset: u64,
        bytes: Vec<u8>,
    },
    /// All that was written before is durable.
    Flush,
}

/// What of a write is on the disk.
#[derive(Clone, Copy)]
enum Fate {
    Whole,
    Lost,
    /// Of the first sectors those whose bit is set; of the others none.
    Torn(u64),
}

/// Each disk as a power cut leaves it after the first `cut` events. Without a seed, what came before is there; with
/// one, of what came after a disk's last flush some is there, in whole sectors.
///
/// Returns what became of each write that was at risk.
pub(super) fn cut(platters: &mut [Platter], events: &[Event], cut: usize, seed: Option<u64>) -> String {
    let mut chance = seed.map(Chance);
    let mut said = String::new();
    let flushed: Vec<usize> = (0..platters.len()).map(|disk| last_flush(&events[..cut], disk)).collect();
    platters.iter_mut().for_each(Platter::rewind);
    for (number, event) in events[..cut].iter().enumerate() {
        let What::Write { offset, bytes } = &event.what else { continue };
        let at_risk = number >= flushed[event.disk];
        let fate = match &mut chance {
            Some(chance) if at_risk => match chance.fate(bytes.len() / SECTOR) {
                Fate::Torn(_) if *offset < WHOLE_BELOW => Fate::Lost,
                fate => fate,
            },
            _ => Fate::Whole,
        };
        if at_risk {
            let _ = match fate {
                Fate::Whole => write!(said, " {number}:kept"),
                Fate::Lost => write!(said, " {number}:lost"),
                Fate::Torn(sectors) => write!(said, " {number}:torn:{sectors:x}"),
            };
        }
        platters[event.disk].write(*offset, bytes, |place| match fate {
            Fate::Whole => true,
            Fate::Lost => false,
            Fate::Torn(sectors) => place < 64 && sectors & (1 << place) != 0,
        });
    }
    said
}

/// Behind the disk's last flush: where what is at risk begins.
fn last_flush(events: &[Event], disk: usize) -> usize {
    let is_flush = |event: &Event| event.disk == disk && matches!(event.what, What::Flush);
    events.iter().rposition(is_flush).map_or(0, |at| at + 1)
}

/// The same for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Of a write of so many sectors.
    fn fate(&mut self, sectors: usize) -> Fate {
        let all = if sectors >= 64 { u64::MAX } else { (1 << sectors) - 1 };
        match self.next() % 8 {
            0..=2 => Fate::Whole,
            3..=5 => Fate::Lost,
            // From its beginning up to somewhere.
            6 => Fate::Torn(all & ((1_u64 << (self.next() % sectors.min(63) as u64)) - 1)),
            _ => Fate::Torn(all & self.next()),
        }
    }
}
