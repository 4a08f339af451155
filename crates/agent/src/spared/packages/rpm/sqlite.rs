//! The database of rpm since 4.16 (Fedora, RHEL 9 and later).

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{LONGEST, MOST, malformed};

pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";
/// How long rpm may hold it.
const BUSY: Duration = Duration::from_secs(5);
/// Pages that are kept in memory, in KiB (negative: not in pages).
const CACHE: i64 = -4096;

pub(super) fn headers(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    read(path, false)
        .or_else(|error| {
            // Closed properly it has no log, and nobody may make one here: then it is whole as it lies there.
            if has_log(path) { Err(error) } else { read(path, true) }
        })
        .map_err(|error| malformed(&error.to_string()))
}

fn has_log(path: &Path) -> bool {
    let mut log = path.to_owned().into_os_string();
    log.push("-wal");
    fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

fn read(path: &Path, is_immutable: bool) -> rusqlite::Result<Vec<Vec<u8>>> {
    let connection = open(path, is_immutable)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // What it says of itself is not believed where that would be costly.
    connection.pragma_update(None, "cell_size_check", true)?;
    let sql = format!("SELECT blob FROM Packages WHERE length(blob) <= {LONGEST} LIMIT {MOST}");
    let mut packages = connection.prepare(&sql)?;
    let headers = packages.query_map([], |row| row.get(0))?;
    headers.collect()
}

fn open(path: &Path, is_immutable: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !is_immutable {
        return Connection::open_with_flags(path, flags);
    }
    // As part of an URI; no place where it is kept has a letter that would have to be escaped.
    let path = path.to_str().filter(|path| !path.contains(['%', '?', '#']));
    let path = path.ok_or_else(|| rusqlite::Error::InvalidPath("its path".into()))?;
    let uri = format!("file:{path}?immutable=1");
    Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
}
