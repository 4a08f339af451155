//! Quell beside others that answer the kernel on the same filesystem: fapolicyd, clamonacc, another Quell.
//! Neither waits for the other for ever, nobody who executes hangs, and what one of them denies stays denied.

#![forbid(unsafe_code)]

mod kernel_log;
mod storm;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tests::filesystem::Filesystem;
use tests::footprint::family;
use tests::peers::clamonacc::{self, Clamonacc};
use tests::peers::fapolicyd::{self, Integrity};
use tests::sample::is_denied;
use tests::up::{Up, options};
use tests::userland::Userland;
use tests::{is_private, wait_for};

use kernel_log::Watchdog;
use storm::{BLOCKED, Storm};

const SIZE: u64 = 192 << 20;

#[test]
fn fapolicyd_beside_quell() {
    let Some(_alone) = enter() else { return };
    if let Err(reason) = fapolicyd::fetch() {
        println!("not run: fapolicyd can't be had: {reason:#}");
        return;
    }
    for integrity in [Integrity::None, Integrity::Sha256] {
        let filesystem = filesystem();
        let mut rival = fapolicyd::start(&filesystem, integrity, &[]).expect("fapolicyd starts");
        let dir = tempfile::tempdir().unwrap();
        let up = up(dir.path(), &filesystem);
        assert_is_named(&up, "fapolicyd");
        let watchdog = Watchdog::on();
        let storm = Storm::on(filesystem.root(), &[rival.pid()], &[&up]);
        println!("fapolicyd, {integrity:?}: {storm}");
        watchdog.assert_silent(&[&[rival.pid()], family(up.pid()).as_slice()].concat());
        rival.check().expect("fapolicyd runs still");
        assert!(tests::peers::refuses(filesystem.root()).unwrap(), "fapolicyd refuses what it should");
        up.stop();
    }
}

#[test]
fn clamonacc_beside_quell() {
    let Some(_alone) = enter() else { return };
    if let Err(reason) = clamonacc::fetch() {
        println!("not run: clamonacc can't be had: {reason:#}");
        return;
    }
    let filesystem = filesystem();
    let mut rival = Clamonacc::start(&filesystem).expect("clamonacc starts");
    let dir = tempfile::tempdir().unwrap();
    let up = up(dir.path(), &filesystem);
    assert_is_named(&up, "ClamAV");
    let watchdog = Watchdog::on();
    let storm = Storm::on(filesystem.root(), &rival.pids(), &[&up]);
    println!("clamonacc: {storm}");
    watchdog.assert_silent(&[rival.pids().as_slice(), family(up.pid()).as_slice()].concat());
    rival.check().expect("clamonacc runs still");
    assert!(tests::peers::refuses(filesystem.root()).unwrap(), "clamonacc refuses what it should");
    up.stop();
}

#[test]
fn two_of_quell() {
    let Some(_alone) = enter() else { return };
    let filesystem = filesystem();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [first, second] = dirs.each_ref().map(|dir| up(dir.path(), &filesystem));
    assert_is_named(&second, "another Quell");
    let watchdog = Watchdog::on();
    let storm = Storm::on(filesystem.root(), &[], &[&first, &second]);
    println!("two of Quell: {storm}");
    watchdog.assert_silent(&[family(first.pid()), family(second.pid())].concat());
    first.stop();
    assert!(is_denied(&filesystem.root().join(BLOCKED)), "the other denies on");
    second.stop();
}

/// One at a time, or they would slow each other down.
fn enter() -> Option<MutexGuard<'static, ()>> {
    static ALONE: Mutex<()> = Mutex::new(());
    is_private().then(|| ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

fn filesystem() -> Filesystem {
    let userland = Userland::gather().expect("a userland");
    storm::furnish(&userland).expect("programs");
    Filesystem::ext2(userland.root(), SIZE).expect("an ext2")
}

/// Quell, which denies [`BLOCKED`].
fn up(dir: &Path, filesystem: &Filesystem) -> Up {
    let up = Up::start(&options(dir, filesystem.root()));
    let blocked = filesystem.root().join(BLOCKED);
    up.api().block(&storm::sha256(&blocked));
    wait_for("the rule to be in force", Duration::from_secs(10), || is_denied(&blocked).then_some(()));
    up
}

fn assert_is_named(up: &Up, name: &str) {
    wait_for("the rival to be named", Duration::from_secs(20), || {
        let text = up.cli(&["agent", "status", "-o", "json", "--data-dir", up.field("dataDir")]);
        let status: Value = serde_json::from_str(&text).unwrap();
        let rivals = status["rivals"].as_array().cloned().unwrap_or_default();
        rivals.iter().any(|rival| rival.as_str().is_some_and(|rival| rival.starts_with(name))).then_some(())
    });
}
