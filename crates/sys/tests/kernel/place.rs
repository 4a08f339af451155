//! Paths that others may be changing.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use sys::OFlags;
use sys::place;

#[test]
fn nothing_leads_out_of_the_root_or_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let root_path = dir.path().join("root");
    fs::create_dir_all(root_path.join("a/b")).unwrap();
    fs::write(root_path.join("a/b/file"), b"inside").unwrap();
    fs::write(dir.path().join("outside"), b"outside").unwrap();
    symlink("a/b", root_path.join("link")).unwrap();
    symlink("a/b/file", root_path.join("last")).unwrap();
    let root = File::open(&root_path).unwrap();
    let open = |path: &str| place::open_beneath(root.as_fd(), Path::new(path), OFlags::RDONLY);

    assert_eq!(sys::socket::read_all(open("a/b/../b/file").unwrap().as_fd()).unwrap(), b"inside");
    let cases = [
        ("../outside", libc::EXDEV),
        ("a/../../outside", libc::EXDEV),
        ("/etc/passwd", libc::EXDEV),
        ("link/file", libc::ELOOP),
        ("last", libc::ELOOP),
        ("a/none", libc::ENOENT),
    ];
    for (path, errno) in cases {
        assert_eq!(open(path).unwrap_err().raw_os_error(), Some(errno), "{path}");
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let new = place::open_beneath(root.as_fd(), Path::new("a/new"), flags).unwrap();
    assert_eq!(File::from(new).metadata().unwrap().mode() & 0o177, 0);
}

#[test]
fn a_rename_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let fd = File::open(dir.path()).unwrap();
    let rename = |from: &str, to: &str| {
        place::rename_no_replace(fd.as_fd(), OsStr::new(from), fd.as_fd(), OsStr::new(to))
    };
    fs::write(dir.path().join("one"), b"1").unwrap();
    fs::write(dir.path().join("two"), b"2").unwrap();
    assert_eq!(rename("one", "two").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(dir.path().join("two")).unwrap(), b"2");
    rename("one", "three").unwrap();
    place::sync_dir(fd.as_fd()).unwrap();
    assert_eq!(fs::read(dir.path().join("three")).unwrap(), b"1");
    assert!(!dir.path().join("one").exists());
}

#[test]
fn a_file_without_name_gets_one_that_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let fd = File::open(dir.path()).unwrap();
    let mut file = File::from(place::create_unnamed(fd.as_fd()).unwrap());
    file.write_all(b"content").unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    fs::write(dir.path().join("taken"), b"precious").unwrap();
    let link = |name: &str| place::link_unnamed(file.as_fd(), fd.as_fd(), OsStr::new(name));
    assert_eq!(link("taken").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(dir.path().join("taken")).unwrap(), b"precious");
    link("free").unwrap();
    assert_eq!(fs::read(dir.path().join("free")).unwrap(), b"content");
}

#[test]
fn attributes_and_times_go_from_file_to_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| File::create(dir.path().join(name)).unwrap();
    let (from, to) = (file("from"), file("to"));
    let attributes = vec![
        (OsString::from("user.long"), vec![7; 900]),
        (OsString::from("user.short"), Vec::new()),
        (OsString::from(format!("user.{}", "n".repeat(250))), b"value".to_vec()),
    ];
    match place::set_xattrs(from.as_fd(), &attributes) {
        // A tmpfs keeps them from Linux 6.6 on.
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            eprintln!("not run: the temporary directory keeps no attributes of users");
            return;
        }
        set => set.unwrap(),
    }
    let mut read = place::xattrs(from.as_fd()).unwrap();
    place::set_xattrs(to.as_fd(), &read).unwrap();
    assert_eq!(place::xattrs(to.as_fd()).unwrap().len(), 3);
    read.sort();
    let mut expected = attributes;
    expected.sort();
    assert_eq!(read, expected);

    place::set_times_ns(to.as_fd(), 1_700_000_000_123_456_789, -1).unwrap();
    let metadata = to.metadata().unwrap();
    assert_eq!((metadata.atime(), metadata.atime_nsec()), (1_700_000_000, 123_456_789));
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (-1, 999_999_999));
}

#[test]
fn an_open_file_knows_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("file");
    fs::write(&path, b"").unwrap();
    let file = File::open(&path).unwrap();
    assert_eq!(place::path_of(file.as_fd()).unwrap(), path);
    fs::remove_file(&path).unwrap();
    assert!(place::path_of(file.as_fd()).unwrap().as_os_str().to_str().unwrap().ends_with(" (deleted)"));
}
