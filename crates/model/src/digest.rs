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
    fn what_is_no_hash_is_named_in_the_error() {
        for text in ["", "zz", "4388963aaa83afe2042a46a3c017ad50bdcdafbg", "4388963aaa83afe2042a46a3c017ad50"]
        {
            let error = text.parse::<FileId>().unwrap_err();
            assert_eq!(error.to_string(), format!("Hash value {text} is invalid"));
        }
    }
}
