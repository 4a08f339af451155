//! A quarantined copy: where it came from, where it rests, and its way home.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use model::{ActId, Digests, FileId, OrderId, Time, VaultId};
use wire::link::acts::{act_id, vault_id};
use wire::link::things::{bytes_of, path_of};
use wire::link::{Malformed, v1};

use super::metadata::Metadata;

/// A copy in the vault, or on its way in or out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Its name in the vault.
    pub id: VaultId,
    /// The act that took it.
    pub act: ActId,
    /// The order that wanted it taken.
    pub order: OrderId,
    /// The file that the order named.
    pub wanted: FileId,
    /// Where it lay.
    pub path: PathBuf,
    /// The mount that `path` led into.
    pub mount: PathBuf,
    /// Where its filesystem was mounted in another mount namespace only: what that is known by, and which directory of
    /// it was mounted. By this it is found again, wherever it is mounted then.
    pub elsewhere: Option<(Vec<u8>, PathBuf)>,
    /// The directory that held it.
    pub parent: Parent,
    /// Its content.
    pub digests: Digests,
    /// Length in bytes.
    pub size: u64,
    /// What else it carried.
    pub metadata: Metadata,
    /// The device of its inode.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// The first taken name of the same inode.
    pub link_of: Option<VaultId>,
    /// Where it rests.
    pub rests_at: PathBuf,
    /// Whether it was renamed within its filesystem, or copied into the data directory.
    pub renamed: bool,
    /// When it was taken.
    pub quarantined: Time,
    /// Flags that had to be cleared before it could be moved, as the kernel numbers them.
    pub flags: u32,
}

/// A directory, to be known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its device.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permissions, as in `st_mode`.
    pub mode: u32,
    /// Its handle, by which it differs from another directory that got its inode number; empty where there is none.
    pub handle: Vec<u8>,
}

impl From<&Resting> for v1::Resting {
    fn from(resting: &Resting) -> Self {
        let metadata = &resting.metadata;
        let attribute = |(name, value): &(OsString, Vec<u8>)| v1::Attribute {
            name: name.as_bytes().to_vec(),
            value: value.clone(),
        };
        Self {
            id: bytes(resting.id.0),
            act: bytes(resting.act.0),
            order: bytes(resting.order.0),
            path: bytes_of(&resting.path),
            digests: Some((&resting.digests).into()),
            size: resting.size,
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            accessed_ns: metadata.accessed_ns,
            modified_ns: metadata.modified_ns,
            attributes: metadata.attributes.iter().map(attribute).collect(),
            device: resting.device,
            inode: resting.inode,
            parent_device: resting.parent.device,
            parent_inode: resting.parent.inode,
            rests_at: bytes_of(&resting.rests_at),
            renamed: resting.renamed,
            quarantined: resting.quarantined.ticks(),
            mount: bytes_of(&resting.mount),
            link_of: resting.link_of.map(|id| bytes(id.0)).unwrap_or_default(),
            wanted: Some(resting.wanted.into()),
            parent_uid: resting.parent.uid,
            parent_gid: resting.parent.gid,
            parent_mode: resting.parent.mode,
            parent_handle: resting.parent.handle.clone(),
            flags: resting.flags,
            filesystem: resting.elsewhere.as_ref().map(|(lasting, _)| lasting.clone()).unwrap_or_default(),
            mounted_root: resting.elsewhere.as_ref().map(|(_, root)| bytes_of(root)).unwrap_or_default(),
        }
    }
}

impl TryFrom<&v1::Resting> for Resting {
    type Error = Malformed;

    fn try_from(resting: &v1::Resting) -> Result<Self, Malformed> {
        let attribute =
            |attribute: &v1::Attribute| (OsString::from_vec(attribute.name.clone()), attribute.value.clone());
        let path = |bytes: &Vec<u8>| path_of(bytes.clone());
        let link_of = Some(&resting.link_of).filter(|id| !id.is_empty());
        Ok(Self {
            id: vault_id(&resting.id)?,
            act: act_id(&resting.act)?,
            order: resting.order.as_slice().try_into().map_err(|_| Malformed("order"))?,
            wanted: resting.wanted.as_ref().ok_or(Malformed("wanted"))?.try_into()?,
            path: path(&resting.path),
            mount: path(&resting.mount),
            elsewhere: (!resting.filesystem.is_empty())
                .then(|| (resting.filesystem.clone(), path(&resting.mounted_root))),
            parent: Parent {
                device: resting.parent_device,
                inode: resting.parent_inode,
                uid: resting.parent_uid,
                gid: resting.parent_gid,
                mode: resting.parent_mode,
                handle: resting.parent_handle.clone(),
            },
            digests: resting.digests.as_ref().ok_or(Malformed("digests"))?.try_into()?,
            size: resting.size,
            metadata: Metadata {
                mode: resting.mode,
                uid: resting.uid,
                gid: resting.gid,
                accessed_ns: resting.accessed_ns,
                modified_ns: resting.modified_ns,
                attributes: resting.attributes.iter().map(attribute).collect(),
            },
            device: resting.device,
            inode: resting.inode,
            link_of: link_of.map(|id| vault_id(id)).transpose()?,
            rests_at: path(&resting.rests_at),
            renamed: resting.renamed,
            quarantined: Time::from_ticks(resting.quarantined),
            flags: resting.flags,
        })
    }
}

fn bytes(id: uuid::Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn some(id: VaultId) -> Resting {
        Resting {
            id,
            act: ActId::random(),
            order: OrderId::random(),
            wanted: FileId::Sha1(model::Sha1([2; 20])),
            path: OsString::from_vec(b"/a/new\nline\xff".to_vec()).into(),
            mount: "/a".into(),
            elsewhere: None,
            parent: Parent { device: 1, inode: 2, uid: 3, gid: 4, mode: 0o040_755, handle: vec![5] },
            digests: Digests {
                sha256: model::Sha256([1; 32]),
                sha1: model::Sha1([2; 20]),
                md5: model::Md5([3; 16]),
            },
            size: 5,
            metadata: Metadata {
                mode: 0o104_755,
                uid: 1000,
                gid: u32::MAX - 1,
                accessed_ns: -1,
                modified_ns: i64::MAX,
                attributes: vec![("user.\u{fffd}".into(), vec![0, 255])],
            },
            device: 8,
            inode: u64::MAX,
            link_of: Some(VaultId::random()),
            rests_at: "/a/.quell-vault/x".into(),
            renamed: true,
            quarantined: Time::from_ticks(77),
            flags: 0x10,
        }
    }

    #[test]
    fn all_of_it_survives_the_journal() {
        let there = (vec![1, 2], PathBuf::from("/sub"));
        for (link_of, elsewhere) in [(None, Some(there)), (Some(VaultId::random()), None)] {
            let resting = Resting { link_of, elsewhere, ..some(VaultId::random()) };
            let record = v1::Resting::from(&resting);
            assert_eq!(Resting::try_from(&record), Ok(resting));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let record = v1::Resting { wanted: None, ..(&some(VaultId::random())).into() };
        assert_eq!(Resting::try_from(&record), Err(Malformed("wanted")));
    }
}
