//! Names of a file: the digests of its content.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

/// A text that is no digest of a kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Hash value {0} is invalid")]
pub struct InvalidHash(pub String);

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        /// Reads hexadecimal digits of either case.
        impl FromStr for $name {
            type Err = InvalidHash;

            fn from_str(text: &str) -> Result<Self, InvalidHash> {
                HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or_else(|| InvalidHash(text.to_owned()))
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = InvalidHash;

            fn try_from(bytes: &[u8]) -> Result<Self, InvalidHash> {
                bytes.try_into().map(Self).map_err(|_| InvalidHash(HEXLOWER.encode(bytes)))
            }
        }
    };
}

digest!(
    /// MD5 of a file's content. An old name, never an identity: collisions are cheap.
    Md5, 16
);
digest!(
    /// SHA-1 of a file's content. The name the compatible API uses most; not unique against an attacker.
    Sha1, 20
);
digest!(
    /// SHA-256 of a file's content: the file's identity.
    Sha256, 32
);

/// A digest of whatever kind, as lists of others hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    /// MD5.
    Md5(Md5),
    /// SHA-1.
    Sha1(Sha1),
    /// SHA-256.
    Sha256(Sha256),
}

/// Tells the kinds apart by length; digits of either case.
impl FromStr for Digest {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        match text.len() {
            32 => text.parse().map(Self::Md5),
            40 => text.parse().map(Self::Sha1),
            64 => text.parse().map(Self::Sha256),
            _ => Err(InvalidHash(text.to_owned())),
        }
    }
}

/// All three names of one file, made in one pass over its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digests {
    /// The file's identity.
    pub sha256: Sha256,
    /// Its name in the compatible API.
    pub sha1: Sha1,
    /// Its oldest name.
    pub md5: Md5,
}

/// What a file is known by so far: its SHA-256 always, its other names if somebody has computed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Names {
    /// The file's identity.
    pub sha256: Sha256,
    /// Its name in the compatible API, if computed.
    pub sha1: Option<Sha1>,
    /// Its oldest name, if computed.
    pub md5: Option<Md5>,
}

impl Names {
    /// Which names beside the SHA-256 are known.
    pub const fn kinds(&self) -> Kinds {
        Kinds { sha1: self.sha1.is_some(), md5: self.md5.is_some() }
    }

    /// Whether all these are known.
    pub const fn has(&self, kinds: Kinds) -> bool {
        self.kinds().contains(kinds)
    }

    /// All three names, if all are known.
    pub fn all(&self) -> Option<Digests> {
        Some(Digests { sha256: self.sha256, sha1: self.sha1?, md5: self.md5? })
    }
}

impl From<Digests> for Names {
    fn from(digests: Digests) -> Self {
        Self { sha256: digests.sha256, sha1: Some(digests.sha1), md5: Some(digests.md5) }
    }
}

impl From<&Digests> for Names {
    fn from(digests: &Digests) -> Self {
        (*digests).into()
    }
}

/// A set of kinds of digests besides SHA-256, which belongs to every such set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kinds {
    /// SHA-1 belongs to it.
    pub sha1: bool,
    /// MD5 belongs to it.
    pub md5: bool,
}

impl Kinds {
    /// No kind but SHA-256.
    pub const NONE: Self = Self { sha1: false, md5: false };
    /// Every kind.
    pub const ALL: Self = Self { sha1: true, md5: true };

    /// Whether all of `others` belong to it.
    pub const fn contains(self, others: Self) -> bool {
        (self.sha1 || !others.sha1) && (self.md5 || !others.md5)
    }

    /// What belongs to either.
    #[must_use]
    pub const fn union(self, others: Self) -> Self {
        Self { sha1: self.sha1 || others.sha1, md5: self.md5 || others.md5 }
    }
}

/// A name by which a caller may mean a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileId {
    /// By SHA-1: every file that has it.
    Sha1(Sha1),
    /// By SHA-256: this file.
    Sha256(Sha256),
}

impl FileId {
    /// Whether this name is one of `digests`.
    pub fn names(&self, digests: &Digests) -> bool {
        match self {
            Self::Sha1(sha1) => *sha1 == digests.sha1,
            Self::Sha256(sha256) => *sha256 == digests.sha256,
        }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha1(sha1) => sha1.fmt(f),
            Self::Sha256(sha256) => sha256.fmt(f),
        }
    }
}

/// Tells the kinds apart by length; digits of either case.
impl FromStr for FileId {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        match text.len() {
            40 => text.parse().map(Self::Sha1),
            64 => text.parse().map(Self::Sha256),
            _ => Err(InvalidHash(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_case_is_read_and_lower_case_is_written() {
        let upper = "4388963AAA83AFE2042A46A3C017AD50BDCDAFB3";
        let id: FileId = upper.parse().unwrap();
        assert!(matches!(id, FileId::Sha1(_)));
        assert_eq!(id.to_string(), upper.to_lowercase());
    }

    #[test]
    fn names_have_what_was_computed() {
        let all = Digests { sha256: Sha256([1; 32]), sha1: Sha1([2; 20]), md5: Md5([3; 16]) };
        let names = Names::from(all);
        assert!(names.has(Kinds::ALL));
        assert_eq!(names.all(), Some(all));
        let partial = Names { sha1: None, ..names };
        assert!(partial.has(Kinds::NONE) && partial.has(Kinds { sha1: false, md5: true }));
        assert!(!partial.has(Kinds { sha1: true, md5: false }) && !partial.has(Kinds::ALL));
        assert_eq!(partial.all(), None);
        assert_eq!(partial.kinds().union(Kinds { sha1: true, md5: false }), Kinds::ALL);
    }

    #[test]
    fn what_is_no_hash_is_named_in_the_error() {
        for text in ["", "zz", "4388963aaa83afe2042a46a3c017ad50bdcdafbg", "4388963aaa83afe2042a46a3c017ad50"]
        {
            let error = text.parse::<FileId>().unwrap_err();
            assert_eq!(error.to_string(), format!("Hash value {text} is invalid"));
        }
    }
}
