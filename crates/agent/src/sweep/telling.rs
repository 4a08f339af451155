//! Telling the server where the copies are that moved with their directory. The machine knows at once, by one entry;
//! the server knows each copy by its path, so that it hears of each, no faster than it takes them in. What lies on a
//! filesystem that is not mounted now is gone to the server, until it is mounted again.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use model::sighting::Seen;

use super::Sweep;
use crate::inventory::{Moved, Note};
use crate::looking::Stopped;
use crate::recorder::Noticed;

/// The path by which the server knows what it was told is gone.
const UNTOLD: &str = "";

impl Sweep {
    /// Tells what has moved. A directory that moves again meanwhile is told again.
    pub(super) fn tell_moves(&self) -> Result<(), Stopped> {
        let turn = self.looker.inventory.turn();
        if self.told.swap(turn, Ordering::Relaxed) == turn {
            return Ok(());
        }
        for moved in self.looker.inventory.moved() {
            let Moved { number, told, now, is_lost } = moved;
            match now {
                Some(now) => {
                    self.tell_below(number, &told, Some(&now))?;
                    self.note(Note::Told(number, now))?;
                }
                None if is_lost => {
                    self.tell_below(number, &told, None)?;
                    self.note(Note::Forget(number))?;
                }
                // It lies on a filesystem that is not mounted, and the server knows that.
                None if told == Path::new(UNTOLD) => {}
                None => {
                    self.tell_below(number, &told, None)?;
                    self.note(Note::Told(number, UNTOLD.into()))?;
                }
            }
        }
        for number in self.looker.inventory.orphans() {
            self.note(Note::Forget(number))?;
        }
        self.recorded()
    }

    fn tell_below(&self, number: u64, told: &Path, now: Option<&Path>) -> Result<(), Stopped> {
        let elsewhere: Vec<u64> = self.looker.inventory.moved().iter().map(|moved| moved.number).collect();
        let mut rest = vec![(number, PathBuf::new())];
        while let Some((number, below)) = rest.pop() {
            for page in self.looker.inventory.pages(number) {
                for child in page {
                    let below = below.join(&child.name);
                    let Some(known) = child.file else {
                        // What moved by itself is told by itself.
                        if !elsewhere.contains(&child.number) {
                            rest.push((child.number, below));
                        }
                        continue;
                    };
                    let tell = |path: PathBuf, seen| {
                        self.looker.tell(Noticed::Run(path, known.digests, known.facts.clone(), seen))
                    };
                    if let Some(now) = now {
                        tell(now.join(&below), Seen::AtRest)?;
                    }
                    if told.is_absolute() {
                        tell(told.join(&below), Seen::Gone)?;
                    }
                }
                self.rest()?;
            }
        }
        Ok(())
    }
}
