//! Whatever a file is, a restore after its quarantine brings it back identical in bytes and metadata.
//!
//! `QUELL_RESTORE_CASES` says how many files are tried on each of the two kinds of filesystem (1,000).

mod arena;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use arena::{Arena, Image, KEEP, KINDS, names_in, take};

/// Names of all bytes but two, as long as a name can be.
fn any_name() -> impl Strategy<Value = OsString> {
    proptest::collection::vec(any::<u8>(), 1..256).prop_map(|mut bytes| {
        bytes.iter_mut().filter(|byte| matches!(byte, 0 | b'/')).for_each(|byte| *byte = b'_');
        if bytes.iter().all(|byte| *byte == b'.') {
            bytes[0] = b'x';
        }
        OsString::from_vec(bytes)
    })
}

/// An access list with some users and groups, as the kernel keeps it: sorted, and with a mask where anybody is named.
fn any_acl() -> impl Strategy<Value = Vec<u8>> {
    let named = || proptest::collection::btree_map(1..70_000_u32, 0..8_u16, 0..4);
    let own = (0..8_u16, 0..8_u16, 0..8_u16, 0..8_u16);
    (own, named(), named()).prop_map(|((user, group, mask, other), users, groups)| {
        let nobody = u32::MAX;
        let mut entries = vec![(1, user, nobody)];
        entries.extend(users.iter().map(|(id, may)| (2, *may, *id)));
        entries.push((4, group, nobody));
        entries.extend(groups.iter().map(|(id, may)| (8, *may, *id)));
        if !users.is_empty() || !groups.is_empty() {
            entries.push((0x10, mask, nobody));
        }
        entries.push((0x20, other, nobody));
        let entry = |(tag, may, id): (u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &may.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let entries = entries.into_iter().flat_map(entry);
        2_u32.to_le_bytes().into_iter().chain(entries).collect()
    })
}

/// Capabilities of a file: with or without being in force at once, of the first forty kinds.
fn any_capability() -> impl Strategy<Value = Vec<u8>> {
    (any::<bool>(), any::<[u32; 2]>(), 0..0x100_u32, 0..0x100_u32).prop_map(
        |(effective, low, high, other)| {
            let words = [0x0200_0000 | u32::from(effective), low[0], low[1], high, other];
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        },
    )
}

/// Bytes without end, of which each depends on all before it.
fn bytes(mut seed: u64, length: usize) -> Vec<u8> {
    let step = |seed: &mut u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 56) as u8
    };
    (0..length).map(|_| step(&mut seed)).collect()
}

/// Any file: owners, permissions, times before and after now, attributes of every kind.
fn any_file() -> impl Strategy<Value = (OsString, Image)> {
    let time = || (-2_000_000_000_i64..8_000_000_000, 0..1_000_000_000_i64);
    let attributes = proptest::collection::btree_map(
        "(user|trusted)\\.[a-zA-Z0-9 \u{e9}]{1,40}",
        proptest::collection::vec(any::<u8>(), 0..300),
        0..4,
    );
    let special = (proptest::option::of(any_acl()), proptest::option::of(any_capability()));
    let bytes = (any::<u64>(), 0..5000_usize).prop_map(|(seed, length)| bytes(seed, length));
    let owner = (0..70_000_u32, 0..70_000_u32);
    (any_name(), bytes, 0..0o10000_u32, owner, time(), time(), attributes, special).prop_map(
        |(name, bytes, mode, owner, accessed, modified, attributes, (acl, capability))| {
            let plain = attributes.into_iter().map(|(name, value)| (name.into(), value));
            let acl = acl.map(|value| ("system.posix_acl_access".into(), value));
            let capability = capability.map(|value| ("security.capability".into(), value));
            let attributes = plain.chain(acl).chain(capability).collect();
            (name, Image { bytes, mode: 0o100_000 | mode, owner, accessed, modified, attributes })
        },
    )
}

#[test]
fn any_file_comes_back_as_it_was() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let vault = arena.vault();
        let dir = arena.path("dir");
        fs::create_dir(&dir).unwrap();
        let cases = std::env::var("QUELL_RESTORE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
        let (acls, capable, privileged) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        proptest!(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() },
        |((name, image) in any_file())| {
            let path = dir.join(name);
            image.create(&path);
            let before = Image::of(&path).unwrap();
            let has = |wanted: &str| u32::from(before.attributes.iter().any(|(name, _)| name == wanted));
            acls.fetch_add(has("system.posix_acl_access"), Ordering::Relaxed);
            capable.fetch_add(has("security.capability"), Ordering::Relaxed);
            privileged.fetch_add(u32::from(before.mode & 0o6000 != 0), Ordering::Relaxed);
            let id = take(&vault, &path).unwrap();
            prop_assert!(names_in(&dir).is_empty());
            let returned = vault.restore(id, KEEP, &mut |_| {}).unwrap();
            prop_assert!(returned.path == path && returned.remark().is_none());
            prop_assert_eq!(Image::of(&path).unwrap(), before);
            fs::remove_file(&path).unwrap();
        });
        let [acls, capable, privileged] = [acls, capable, privileged].map(AtomicU32::into_inner);
        println!(
            "restore: {kind:?} files {cases}, with access lists {acls}, with capabilities {capable}, \
                  set-uid or set-gid {privileged}, different 0"
        );
        assert!(acls > 0 && capable > 0 && privileged > 0);
    }
}
