//! How many users are spoken with at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Of all users together.
const MOST: usize = 32;
/// Of one user, so that nobody takes the room of all others.
const MOST_OF_ONE: usize = 4;

/// Those who are spoken with now, by user.
#[derive(Clone, Default)]
pub(super) struct Visitors(Arc<Mutex<BTreeMap<u32, usize>>>);

/// Somebody who is spoken with until this is dropped.
pub(super) struct Visit {
    user: u32,
    visitors: Visitors,
}

impl Visitors {
    /// Lets somebody in, if there is room for that user.
    pub(super) fn admit(&self, user: u32) -> Option<Visit> {
        let mut counts = self.0.lock();
        let all: usize = counts.values().sum();
        let own = counts.get(&user).copied().unwrap_or_default();
        if all >= MOST || own >= MOST_OF_ONE {
            return None;
        }
        counts.insert(user, own + 1);
        Some(Visit { user, visitors: self.clone() })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut counts = self.visitors.0.lock();
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_leaves_room_for_others() {
        let visitors = Visitors::default();
        let mut visits: Vec<Visit> = (0..MOST_OF_ONE).map_while(|_| visitors.admit(1)).collect();
        assert_eq!(visits.len(), MOST_OF_ONE);
        assert!(visitors.admit(1).is_none());
        assert!(visitors.admit(2).is_some());
        visits.pop();
        assert!(visitors.admit(1).is_some());
        visits.clear();
        assert!(visitors.0.lock().is_empty());
    }

    #[test]
    fn there_is_an_end_to_the_room() {
        let visitors = Visitors::default();
        let visits: Vec<Visit> = (0..).map_while(|user| visitors.admit(user)).collect();
        assert_eq!(visits.len(), MOST);
    }
}
