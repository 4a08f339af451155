//! What a copy carries besides its bytes, and must carry again when it comes back.

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Mode, Uid};
use rustix::io::Errno;

const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const CAPABILITY: &str = "security.capability";

/// All of a file but its bytes, its names, and what nobody can set (change and birth time).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When it was last read, in nanoseconds since 1970.
    pub accessed_ns: i64,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Extended attributes, ACLs and capabilities among them, sorted by name.
    pub attributes: Vec<(OsString, Vec<u8>)>,
}

impl Metadata {
    /// Those of an open file. Look before reading it: that may change the time of access.
    pub(super) fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        let mut attributes = sys::place::xattrs(file)?;
        attributes.sort();
        Ok(Self {
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            accessed_ns: nanoseconds(stat.st_atime, stat.st_atime_nsec),
            modified_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            attributes,
        })
    }

    /// Gives them to a new file.
    pub(super) fn apply(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        // The owner first: a change of owner takes set-uid bits and capabilities away.
        rustix::fs::fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        self.remove_others(file)?;
        sys::place::set_xattrs(file, &self.attributes)?;
        // After the attributes: an ACL sets the group's bits.
        rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode & 0o7777))?;
        sys::place::set_times_ns(file, self.accessed_ns, self.modified_ns)
    }

    /// What gives whoever runs the file more rights than their own, in words.
    pub(super) fn privileges(&self) -> Vec<&'static str> {
        let bits = [(SET_USER, "its set-user-ID bit"), (SET_GROUP, "its set-group-ID bit")];
        let bits = bits.into_iter().filter(|(bit, _)| self.mode & bit != 0).map(|(_, word)| word);
        let capability = self.attributes.iter().any(|(name, _)| name == CAPABILITY);
        bits.chain(capability.then_some("its file capabilities")).collect()
    }

    /// The same without those.
    pub(super) fn without_privileges(mut self) -> Self {
        self.mode &= !(SET_USER | SET_GROUP);
        self.attributes.retain(|(name, _)| name != CAPABILITY);
        self
    }

    /// Makes the privileges of a file what they are here, and leaves the rest as it is.
    pub(super) fn apply_privileges(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        let mode = rustix::fs::fstat(file)?.st_mode;
        let wanted = mode & !(SET_USER | SET_GROUP) | self.mode & (SET_USER | SET_GROUP);
        if mode != wanted {
            rustix::fs::fchmod(file, Mode::from_raw_mode(wanted & 0o7777))?;
        }
        let is_capability = |(name, _): &&(OsString, Vec<u8>)| name == CAPABILITY;
        let found = sys::place::xattrs(file)?;
        match (self.attributes.iter().find(is_capability), found.iter().find(is_capability)) {
            (wanted, found) if wanted == found => Ok(()),
            (Some(wanted), _) => sys::place::set_xattrs(file, std::slice::from_ref(wanted)),
            (None, _) => Ok(rustix::fs::fremovexattr(file, CAPABILITY)?),
        }
    }

    /// Whether the file still is as it was, leaving out who has read it since.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        *self == Self { accessed_ns: self.accessed_ns, ..other.clone() }
    }

    /// A directory's default ACL and a security module give a new file attributes that the old one had not.
    fn remove_others(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        for (name, _) in sys::place::xattrs(file)? {
            if self.attributes.iter().any(|(wanted, _)| *wanted == name) {
                continue;
            }
            match rustix::fs::fremovexattr(file, &name) {
                // A label that the security module insists on.
                Err(Errno::ACCESS | Errno::PERM | Errno::OPNOTSUPP)
                    if name.as_encoded_bytes().starts_with(b"security.") => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }
}

fn nanoseconds(seconds: i64, rest: impl TryInto<i64>) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn a_new_file_becomes_like_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let old = File::create(dir.path().join("old")).unwrap();
        rustix::fs::fsetxattr(&old, "user.note", b"kept", rustix::fs::XattrFlags::empty()).unwrap();
        sys::place::set_times_ns(old.as_fd(), 1_000_000_001, -7).unwrap();
        rustix::fs::fchmod(&old, Mode::from_raw_mode(0o4751)).unwrap();
        let wanted = Metadata::of(old.as_fd()).unwrap();
        let new = File::create(dir.path().join("new")).unwrap();
        rustix::fs::fsetxattr(&new, "user.other", b"goes", rustix::fs::XattrFlags::empty()).unwrap();
        wanted.apply(new.as_fd()).unwrap();
        assert_eq!(Metadata::of(new.as_fd()).unwrap(), wanted);
        let read = Metadata { accessed_ns: 3, ..wanted.clone() };
        assert!(wanted.is_like(&read));
        assert!(!wanted.is_like(&Metadata { mode: 0, ..wanted.clone() }));
    }

    #[test]
    fn privileges_go_and_come_back_alone() {
        let file = tempfile::tempfile().unwrap();
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o6751)).unwrap();
        let before = Metadata::of(file.as_fd()).unwrap();
        assert_eq!(before.privileges(), ["its set-user-ID bit", "its set-group-ID bit"]);
        let less = before.clone().without_privileges();
        assert!(less.privileges().is_empty());
        less.apply_privileges(file.as_fd()).unwrap();
        assert_eq!(Metadata::of(file.as_fd()).unwrap(), less);
        before.apply_privileges(file.as_fd()).unwrap();
        assert_eq!(Metadata::of(file.as_fd()).unwrap(), before);
        let capable = Metadata { attributes: vec![(CAPABILITY.into(), vec![1])], ..before };
        assert_eq!(capable.privileges().len(), 3);
        assert!(capable.without_privileges().attributes.is_empty());
    }
}
