//! Programs that stay in force when nobody holds them: names in the bpf filesystem.
//!
//! Beside the programs lies what they are told. A pin that is removed ends its program when the kernel gets round to
//! it, so they are told first that there are no rules.
//!
//! Each guard that pins has a directory of its own below [`HOME`], named by a number that grows. A guard that has its
//! rules in force removes those before it; until then both deny, so that nothing is let through in between.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::maps::{Array, Map, MapData};

use super::shapes::Standing;

/// Where the pins are.
pub const HOME: &str = "/sys/fs/bpf/quell";
/// The map of how things stand, among them.
pub(super) const STANDING: &str = "standing";

/// Makes the directory for the next pins.
///
/// # Errors
/// When no bpf filesystem is mounted there, and those of making directories.
pub(super) fn next() -> io::Result<PathBuf> {
    match fs::create_dir(HOME) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let number = numbers()?.into_iter().max().unwrap_or(0) + 1;
    let home = Path::new(HOME).join(number.to_string());
    fs::create_dir(&home)?;
    Ok(home)
}

/// Removes all pins but those in `kept`: what they held is out of force at once, unless a process holds it too.
/// Returns how many directories of pins there were.
///
/// # Errors
/// Those of removing. That there are no pins is no error.
pub(super) fn remove_but(kept: Option<&Path>) -> io::Result<usize> {
    let mut removed = 0;
    for number in numbers()? {
        let directory = Path::new(HOME).join(number.to_string());
        if kept == Some(&directory) {
            continue;
        }
        // Without that they end as well, when the kernel gets round to it.
        let _ = disarm(&directory.join(STANDING));
        for pin in fs::read_dir(&directory)? {
            fs::remove_file(pin?.path())?;
        }
        fs::remove_dir(directory)?;
        removed += 1;
    }
    if kept.is_none() {
        match fs::remove_dir_all(HOME) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(removed)
}

/// From here on these programs permit everything.
fn disarm(standing: &Path) -> io::Result<()> {
    if !standing.exists() {
        return Ok(());
    }
    let map = Map::Array(MapData::from_pin(standing).map_err(super::other)?);
    let mut map: Array<_, Standing> = Array::try_from(map).map_err(super::other)?;
    map.set(0, Standing::default(), 0).map_err(super::other)
}

/// Whether anything is pinned.
pub fn exist() -> bool {
    numbers().is_ok_and(|numbers| !numbers.is_empty())
}

/// Takes everything that is pinned out of force. Returns whether there was anything.
///
/// # Errors
/// Those of removing files.
pub fn release() -> io::Result<bool> {
    remove_but(None).map(|removed| removed > 0)
}

fn numbers() -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(HOME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    Ok(numbers)
}
