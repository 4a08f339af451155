//! What a disk holds: an image file, and the sectors that were written over it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What a disk writes whole or not at all.
pub(super) const SECTOR: usize = 512;

type Sectors = HashMap<u64, Box<[u8; SECTOR]>>;

/// The content of one disk.
pub(super) struct Platter {
    image: File,
    /// What lies over the image since the record began.
    ground: Sectors,
    /// What lies over both.
    over: Sectors,
    /// Grounds that wait below.
    below: Vec<Sectors>,
}

impl Platter {
    pub(super) fn new(image: File) -> Self {
        Self { image, ground: Sectors::new(), over: Sectors::new(), below: Vec::new() }
    }

    pub(super) fn length(&self) -> u64 {
        self.image.metadata().map_or(0, |stat| stat.len())
    }

    pub(super) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.image.read_exact_at(&mut bytes, offset)?;
        for (number, piece) in sectors(offset, &mut bytes) {
            if let Some(sector) = self.over.get(&number).or_else(|| self.ground.get(&number)) {
                piece.copy_from_slice(&sector[..piece.len()]);
            }
        }
        Ok(bytes)
    }

    /// Writes those sectors of `bytes` that `lands` names by their place in it.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8], lands: impl Fn(usize) -> bool) {
        assert!(offset.is_multiple_of(SECTOR as u64) && bytes.len().is_multiple_of(SECTOR), "whole sectors");
        let first = offset / SECTOR as u64;
        for (place, piece) in bytes.as_chunks::<SECTOR>().0.iter().enumerate().filter(|(at, _)| lands(*at)) {
            self.over.insert(first + place as u64, Box::new(*piece));
        }
    }

    /// From here on [`Self::rewind`] leads here.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        assert!(self.below.is_empty(), "a nested record is given up first");
        for (number, sector) in self.ground.drain().chain(self.over.drain()) {
            self.image.write_all_at(&sector[..], number * SECTOR as u64)?;
        }
        Ok(())
    }

    /// Forgets what was written since the record began.
    pub(super) fn rewind(&mut self) {
        self.over.clear();
    }

    /// From here on [`Self::rewind`] leads here, until [`Self::unnest`].
    pub(super) fn nest(&mut self) {
        let mut ground = self.ground.clone();
        ground.extend(self.over.drain());
        self.below.push(std::mem::replace(&mut self.ground, ground));
    }

    /// Back to what was the ground before.
    pub(super) fn unnest(&mut self) {
        self.over.clear();
        self.ground = self.below.pop().expect("nested");
    }
}

/// The pieces of `bytes`, which begin at `offset`, by sector.
fn sectors(offset: u64, bytes: &mut [u8]) -> impl Iterator<Item = (u64, &mut [u8])> {
    assert!(offset.is_multiple_of(SECTOR as u64), "whole sectors");
    let first = offset / SECTOR as u64;
    bytes.chunks_mut(SECTOR).enumerate().map(move |(place, piece)| (first + place as u64, piece))
}
