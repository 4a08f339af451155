//! A package's header: tags with their values. As it lies in a database: the number of tags, the length of their
//! data, the tags, the data; all numbers big-endian.

use super::bytes::Order;
use crate::spared::packages::Digest;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const PACKAGER: u32 = 1015;
const FILE_STATES: u32 = 1029;
const FILE_DIGESTS: u32 = 1035;
const DIRECTORY_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIRECTORY_NAMES: u32 = 1118;
const DIGEST_ALGORITHM: u32 = 5011;

/// Number of bytes of a tag.
const TAG: usize = 16;
/// The state of a file that was installed, and not left out or replaced since.
const NORMAL: u8 = 0;

#[derive(Clone, Copy)]
pub(super) struct Header<'b> {
    tags: &'b [u8],
    data: &'b [u8],
}

/// With which digests a package names its files' content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    /// One that nobody computes here.
    Other,
}

/// A file that lies where the package put it.
pub(super) struct Owned<'b> {
    /// With a slash at its end.
    pub(super) directory: &'b [u8],
    pub(super) name: &'b [u8],
    /// In hexadecimal digits; nothing for what is no plain file.
    pub(super) digest: &'b [u8],
}

impl Algorithm {
    pub(super) fn read(self, digest: &[u8]) -> Option<Digest> {
        let text = std::str::from_utf8(digest).ok()?;
        match self {
            Self::Md5 => text.parse().ok().map(Digest::Md5),
            Self::Sha1 => text.parse().ok().map(Digest::Sha1),
            Self::Sha256 => text.parse().ok().map(Digest::Sha256),
            Self::Other => None,
        }
    }
}

impl<'b> Header<'b> {
    pub(super) fn parse(bytes: &'b [u8]) -> Option<Self> {
        let (count, length) = (Order::Big.size(bytes, 0)?, Order::Big.size(bytes, 4)?);
        let data = count.checked_mul(TAG)?.checked_add(8)?;
        let (tags, rest) = (bytes.get(8..data)?, bytes.get(data..)?);
        Some(Self { tags, data: rest.get(..length)? })
    }

    /// The data from where a tag's values begin, and how many these are.
    fn values(&self, tag: u32) -> Option<(&'b [u8], usize)> {
        let entry = self.tags.chunks_exact(TAG).find(|entry| Order::Big.u32(entry, 0) == Some(tag))?;
        let (offset, count) = (Order::Big.size(entry, 8)?, Order::Big.size(entry, 12)?);
        Some((self.data.get(offset..)?, count))
    }

    fn texts(&self, tag: u32) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let (data, count) = self.values(tag).unwrap_or_default();
        data.split(|byte| *byte == 0).take(count)
    }

    fn text(&self, tag: u32) -> String {
        String::from_utf8_lossy(self.texts(tag).next().unwrap_or_default()).into_owned()
    }

    pub(super) fn name(&self) -> String {
        self.text(NAME)
    }

    /// `EPOCH:VERSION-RELEASE`, without an epoch where there is none.
    pub(super) fn version(&self) -> String {
        let epoch = self.values(EPOCH).and_then(|(data, _)| Order::Big.u32(data, 0));
        let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
        format!("{epoch}{}-{}", self.text(VERSION), self.text(RELEASE))
    }

    /// Who sells it, else who packed it.
    pub(super) fn vendor(&self) -> String {
        let vendor = self.text(VENDOR);
        if vendor.is_empty() || vendor == "(none)" { self.text(PACKAGER) } else { vendor }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        let number = self.values(DIGEST_ALGORITHM).and_then(|(data, _)| Order::Big.u32(data, 0));
        match number {
            // Before there was a choice.
            None | Some(1) => Algorithm::Md5,
            Some(2) => Algorithm::Sha1,
            Some(8) => Algorithm::Sha256,
            Some(_) => Algorithm::Other,
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = Owned<'b>> + use<'b> {
        let directories: Vec<_> = self.texts(DIRECTORY_NAMES).collect();
        let (indexes, indexed) = self.values(DIRECTORY_INDEXES).unwrap_or_default();
        let (states, stated) = self.values(FILE_STATES).unwrap_or_default();
        let files = self.texts(BASE_NAMES).zip(self.texts(FILE_DIGESTS)).take(indexed).enumerate();
        files.filter_map(move |(number, (name, digest))| {
            let is_normal = number >= stated || states.get(number).is_none_or(|state| *state == NORMAL);
            let directory = *directories.get(Order::Big.size(indexes, number.checked_mul(4)?)?)?;
            is_normal.then_some(Owned { directory, name, digest })
        })
    }
}
