//! What files hold before and after a change, and who denies it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use model::rule::Rule;

use crate::arena::{deny, digests};
use crate::hand::{Tools, version_in};

/// What a file holds after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The bytes that were given.
    Given,
    /// Its own, up to the byte that says what it is.
    Cut,
    /// Its own, with nothing on that byte's page.
    Emptied,
}

/// The two directions of a change. Contents of one are never contents of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// From innocent to denied.
    Bad,
    /// From denied to innocent.
    Good,
}

const BEFORE: u8 = 44;
const GIVEN: u8 = 42;

/// What a program says that was found in a certain state; a page without a version is read as zero.
pub(crate) fn status_before() -> i32 {
    i32::from(BEFORE)
}

pub(crate) fn status_after(after: After) -> i32 {
    if after == After::Given { i32::from(GIVEN) } else { 0 }
}

pub(crate) fn before(tools: &Tools, turn: Turn) -> Vec<u8> {
    content(tools, turn, BEFORE)
}

pub(crate) fn after(tools: &Tools, turn: Turn, after: After) -> Vec<u8> {
    let mut bytes = content(tools, turn, if after == After::Given { GIVEN } else { BEFORE });
    let version = version_in(&bytes);
    match after {
        After::Given => {}
        After::Cut => bytes.truncate(version),
        After::Emptied => bytes[version / 4096 * 4096..][..4096].fill(0),
    }
    bytes
}

fn content(tools: &Tools, turn: Turn, version: u8) -> Vec<u8> {
    /// A byte that pads the head of a program.
    const PADDING: usize = 9;
    let mut bytes = tools.payload("payload", version, 1);
    bytes[PADDING] = u8::from(turn == Turn::Good);
    bytes
}

/// What is denied: all that is bad after a change, and what is there before one to the good.
pub(crate) fn rules(tools: &Tools, outside: &Path) -> Vec<Rule> {
    let bad = [After::Given, After::Cut, After::Emptied].map(|kind| after(tools, Turn::Bad, kind));
    let denied = bad.into_iter().chain([before(tools, Turn::Good)]);
    let rules = denied.zip(1..).map(|(bytes, id)| {
        let file = outside.join(format!("denied {id}"));
        fs::write(&file, bytes).unwrap();
        deny(id, &digests(&file))
    });
    rules.collect()
}

pub(crate) fn write_program(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
