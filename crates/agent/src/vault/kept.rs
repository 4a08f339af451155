//! What became of a copy that was taken.

use std::path::PathBuf;

use model::{FileId, OrderId, VaultId};

use super::Vault;
use super::records::{End, Entry, Stage, Way};
use super::refusal::Refusal;
use super::resting::Resting;

/// A copy that the vault has, or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The copy.
    pub resting: Resting,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It rests, and is to be removed so, if it is.
    Rests(Option<End>),
    /// Its move was interrupted, and can't be finished until its filesystem is there.
    Between,
    /// It is home.
    Restored(Returned),
    /// It was removed for good.
    Removed(End),
}

/// A copy that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Where it is.
    pub path: PathBuf,
    /// Not where it lay: something else lies there.
    pub beside: bool,
    /// What it had and has no more, in words.
    pub dropped: Vec<String>,
}

impl Returned {
    pub(super) fn by(resting: &Resting, way: &Way) -> Self {
        let privileges = if way.keep_privileges { Vec::new() } else { resting.metadata.privileges() };
        Self {
            path: way.path.clone(),
            beside: way.path != resting.path,
            dropped: privileges.into_iter().map(str::to_owned).collect(),
        }
    }

    /// In what it is less than was hoped for, if it is.
    pub fn remark(&self) -> Option<String> {
        let beside =
            self.beside.then(|| "under a new name, since something else lies under its own".to_owned());
        let dropped = (!self.dropped.is_empty()).then(|| {
            let dropped = self.dropped.join(" and ");
            format!("without {dropped}, which come back only on demand: set them by hand if it needs them")
        });
        let remarks: Vec<_> = beside.into_iter().chain(dropped).collect();
        (!remarks.is_empty()).then(|| format!("restored {}", remarks.join(", ")))
    }
}

/// Some of the copies that rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// This one.
    Copy(VaultId),
    /// All that an order took.
    Order(OrderId),
    /// All of a file.
    File(FileId),
    /// Every one.
    All,
}

impl Which {
    fn means(self, resting: &Resting) -> bool {
        match self {
            Self::Copy(id) => resting.id == id,
            Self::Order(order) => resting.order == order,
            Self::File(file) => file.names(&resting.digests),
            Self::All => true,
        }
    }
}

impl Vault {
    /// Every copy that the vault knows of, in the order in which they were taken: those that rest, and those that left
    /// it, as far back as they are remembered.
    pub fn all(&self) -> Vec<Kept> {
        let all = self.records().all();
        all.into_iter().map(Kept::from).collect()
    }

    /// Those of them that are meant and rest.
    pub fn chosen(&self, which: Which) -> Vec<Resting> {
        self.list().into_iter().filter(|resting| which.means(resting)).collect()
    }

    /// Those whose move was interrupted, and can't be finished now.
    pub(crate) fn between(&self, is_meant: impl Fn(&Resting) -> bool) -> Vec<Resting> {
        let all = self.all().into_iter().filter(|kept| kept.fate == Fate::Between);
        all.map(|kept| kept.resting).filter(is_meant).collect()
    }

    /// Those that an order took and that are home again, as far back as they are remembered.
    pub fn restored(&self, order: OrderId) -> Vec<Returned> {
        let of_it = self.all().into_iter().filter(|kept| kept.resting.order == order);
        of_it
            .filter_map(|kept| match kept.fate {
                Fate::Restored(returned) => Some(returned),
                _ => None,
            })
            .collect()
    }

    /// Where copies lay that an order took and that were removed for good, as far back as they are remembered; and what
    /// is to be said of each.
    pub fn removed(&self, order: OrderId) -> Vec<(PathBuf, Refusal)> {
        let of_it = self.all().into_iter().filter(|kept| kept.resting.order == order);
        let removed = of_it.filter_map(|kept| match kept.fate {
            Fate::Removed(End { at, why }) => Some((kept.resting.path, at, why)),
            _ => None,
        });
        removed.map(|(path, at, why)| (path.clone(), Refusal::Removed { path, why, at })).collect()
    }
}

impl From<Entry> for Kept {
    fn from(entry: Entry) -> Self {
        let fate = match (entry.stage, entry.way, entry.end) {
            (Stage::Rests, _, end) => Fate::Rests(end),
            (Stage::Restored, way, _) => {
                let path = entry.resting.path.clone();
                let way = way.unwrap_or(Way { path, keep_privileges: true, flags: 0 });
                Fate::Restored(Returned::by(&entry.resting, &way))
            }
            (Stage::Removed, _, Some(end)) => Fate::Removed(end),
            _ => Fate::Between,
        };
        Self { resting: entry.resting, fate }
    }
}
