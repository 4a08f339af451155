//! Files that could not be inspected are not tried again as long as this is remembered; for longer the server knows.

use std::collections::{HashMap, VecDeque};

use model::Sha256;
use model::inspection::Inspection;

/// So many are remembered, of about a thousand bytes each.
const MOST: usize = 256;

/// What is known of such files.
#[derive(Default)]
pub(super) struct Failed {
    files: HashMap<Sha256, Inspection>,
    order: VecDeque<Sha256>,
}

impl Failed {
    /// The record of a file that was tried.
    pub(super) fn get(&self, file: &Sha256) -> Option<&Inspection> {
        self.files.get(file)
    }

    /// Remembers one; the oldest is forgotten for it.
    pub(super) fn add(&mut self, file: Sha256, record: Inspection) {
        if self.files.insert(file, record).is_none() {
            self.order.push_back(file);
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.files.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let mut failed = Failed::default();
        let name = |number: usize| {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_le_bytes());
            Sha256(name)
        };
        for number in 0..=MOST {
            failed.add(name(number), Inspection::default());
            failed.add(name(number), Inspection::default());
        }
        assert!(failed.get(&name(0)).is_none());
        assert!(failed.get(&name(1)).is_some() && failed.get(&name(MOST)).is_some());
        assert_eq!((failed.files.len(), failed.order.len()), (MOST, MOST));
    }
}
