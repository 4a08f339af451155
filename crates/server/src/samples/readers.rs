//! Who reads samples now: so many at once, and so many for one caller, so that a slow one keeps nobody else waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::OrganizationId;
use uuid::Uuid;

/// How many are read at once, by all callers,
const ALL: usize = 64;
/// and by one.
pub(crate) const ONE: usize = 4;

/// An application of an organization.
pub(crate) type Reader = (OrganizationId, Uuid);

/// Who reads now. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Readers(Arc<Mutex<HashMap<Reader, usize>>>);

/// There is no place to read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// This caller has all of his.
    You,
    /// So many callers read that nobody else can.
    Everybody,
}

/// A place to read, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    readers: Readers,
    reader: Reader,
}

impl Readers {
    pub(super) fn enter(&self, reader: Reader) -> Result<Turn, Busy> {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.get(&reader).is_some_and(|his| *his >= ONE) {
            return Err(Busy::You);
        }
        if now.values().sum::<usize>() >= ALL {
            return Err(Busy::Everybody);
        }
        *now.entry(reader).or_default() += 1;
        Ok(Turn { readers: self.clone(), reader })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut now = self.readers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(his) = now.get_mut(&self.reader) {
            *his -= 1;
            if *his == 0 {
                now.remove(&self.reader);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_takes_his_places_and_nobody_elses() {
        let (readers, organization) = (Readers::default(), OrganizationId::random());
        let reader = |number: u128| (organization, Uuid::from_u128(number));
        let mut turns: Vec<_> = (0..ONE).map(|_| readers.enter(reader(1)).unwrap()).collect();
        assert_eq!(readers.enter(reader(1)).unwrap_err(), Busy::You);
        let elsewhere = (OrganizationId::random(), Uuid::from_u128(1));
        drop((readers.enter(reader(2)).unwrap(), readers.enter(elsewhere).unwrap()));
        turns.pop();
        turns.push(readers.enter(reader(1)).unwrap());

        let full: Vec<_> = (ONE..ALL).map(|n| readers.enter(reader(1 + n as u128)).unwrap()).collect();
        assert_eq!(readers.enter(reader(10_000)).unwrap_err(), Busy::Everybody);
        assert_eq!(readers.enter(reader(1)).unwrap_err(), Busy::You, "he has none even when others go");
        drop((full, turns));
        assert!(readers.0.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
