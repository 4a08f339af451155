//! Which filesystems are mounted where: between paths, which change with the mounts, and places in a filesystem.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A filesystem that is mounted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// What it is known by wherever it is mounted; see [`sys::mounts::lasting_name`].
    pub(crate) name: Vec<u8>,
    /// The device number that its files have now; 0 when that does not matter.
    pub(crate) device: u64,
    /// Where it is mounted.
    pub(crate) point: PathBuf,
    /// Which of its directories is mounted there.
    pub(crate) root: PathBuf,
}

/// The first byte of the names of filesystems whose content is lost with their last mount.
pub(crate) const VOLATILE: u8 = b'v';

/// Whether a filesystem that is known by this name is gone for ever once it is unmounted.
pub(super) fn is_volatile(name: &[u8]) -> bool {
    name.first() == Some(&VOLATILE)
}

/// All of them, those that lie deeper first.
#[derive(Debug)]
pub(super) struct Seats(Vec<Seat>);

impl Seats {
    /// What lies on none of the seats is kept by its path alone.
    pub(super) fn new(mut seats: Vec<Seat>) -> Self {
        // One filesystem has one place: of two with one name, copies of one image, the second has its device added.
        for at in 1..seats.len() {
            if seats[..at].iter().any(|seat| seat.name == seats[at].name) {
                let device = seats[at].device.to_le_bytes();
                seats[at].name.extend(device);
            }
        }
        seats.push(Seat { name: Vec::new(), device: 0, point: "/".into(), root: "/".into() });
        // Stable: a filesystem at "/" comes before the rest.
        seats.sort_by_key(|seat| std::cmp::Reverse(seat.point.components().count()));
        Self(seats)
    }

    /// The seat that a path lies on, and the names that lead to it from its filesystem's root.
    pub(super) fn inside(&self, path: &Path) -> Option<(&Seat, Vec<Vec<u8>>)> {
        let seat = self.0.iter().find(|seat| path.starts_with(&seat.point))?;
        let below = path.strip_prefix(&seat.point).ok()?;
        let names = |path: &Path| -> Vec<Vec<u8>> {
            let normal = path.components().filter_map(|component| match component {
                Component::Normal(name) => Some(name.as_bytes().to_vec()),
                _ => None,
            });
            normal.collect()
        };
        Some((seat, [names(&seat.root), names(below)].concat()))
    }

    /// The path of a place in the filesystem of that name, if it can be reached now.
    pub(super) fn outside(&self, name: &[u8], inside: &Path) -> Option<PathBuf> {
        let seat = self.named(name)?;
        let below = inside.strip_prefix(seat.root.strip_prefix("/").unwrap_or(&seat.root)).ok()?;
        let path = if below.as_os_str().is_empty() { seat.point.clone() } else { seat.point.join(below) };
        // What another filesystem is mounted over can't be reached.
        let over = self.0.iter().find(|seat| path.starts_with(&seat.point))?;
        (over.name == seat.name).then_some(path)
    }

    /// Whether this one was there already, under its own name.
    pub(super) fn has(&self, seat: &Seat) -> bool {
        self.named(&seat.name).is_some_and(|own| own.device == seat.device && own.point == seat.point)
    }

    pub(super) fn named(&self, name: &[u8]) -> Option<&Seat> {
        self.0.iter().find(|seat| seat.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(name: &str, point: &str, root: &str) -> Seat {
        Seat { name: name.into(), device: 1, point: point.into(), root: root.into() }
    }

    #[test]
    fn a_place_is_found_from_both_sides() {
        let seats = Seats::new(vec![seat("root", "/", "/"), seat("part", "/srv/x", "/deep")]);
        let (on, names) = seats.inside(Path::new("/srv/x/a/b")).unwrap();
        assert_eq!((on.name.as_slice(), names), (&b"part"[..], ["deep", "a", "b"].map(Vec::from).to_vec()));
        assert_eq!(seats.outside(b"part", Path::new("deep/a/b")), Some("/srv/x/a/b".into()));
        assert_eq!(seats.outside(b"part", Path::new("deep")), Some("/srv/x".into()));
        assert_eq!(seats.outside(b"part", Path::new("other/a")), None, "it is not mounted");
        assert_eq!(seats.outside(b"root", Path::new("srv/x/a")), None, "it is mounted over");
        assert_eq!(seats.outside(b"root", Path::new("srv/y")), Some("/srv/y".into()));
        assert_eq!(seats.outside(b"gone", Path::new("a")), None);
        let alone = Seats::new(Vec::new());
        assert_eq!(alone.outside(b"", Path::new("a")), Some("/a".into()));
    }

    #[test]
    fn two_copies_of_one_image_are_two_filesystems() {
        let seats = Seats::new(vec![seat("same", "/a", "/"), Seat { device: 2, ..seat("same", "/b", "/") }]);
        let name = |path: &str| seats.inside(Path::new(path)).unwrap().0.name.clone();
        assert_ne!(name("/a/x"), name("/b/x"));
    }
}
