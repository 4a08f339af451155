//! Real databases, made by rpm itself where it is installed.

use std::process::Command;

use super::*;
use crate::spared::packages::Digest;

/// One package with files of every kind; built without a compiler.
const SPEC: &str = "
Name: repair
Version: 1
Release: 1
Epoch: 3
Vendor: Example Works <https://example.org>
Summary: x
License: x
BuildArch: noarch
%description
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/lib/other
echo one > %{buildroot}/usr/bin/one
echo two > %{buildroot}/usr/lib/other/two
ln -s one %{buildroot}/usr/bin/link
%files
/usr/bin/one
/usr/bin/link
/usr/lib/other/two
";
const ONE: &str = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806";

/// A database that rpm has made and installed some packages into; none where there is no rpm.
fn made(packages: usize) -> Option<(tempfile::TempDir, PathBuf)> {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let run = |command: &mut Command| {
        let output = command.env("HOME", dir.path()).output().ok()?;
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Some(())
    };
    fs::create_dir(at("db")).unwrap();
    for number in 0..packages {
        let name = if number == 0 { "repair".to_owned() } else { format!("repair{number}") };
        let spec = SPEC.replace("Name: repair", &format!("Name: {name}"));
        let spec = spec.replace("/usr/bin/one", &format!("/usr/bin/one{}", &name["repair".len()..]));
        let spec = spec.replace("/usr/bin/link", &format!("/usr/bin/link{}", &name["repair".len()..]));
        let spec = spec.replace("other/two", &format!("other/{name}"));
        fs::write(at("spec"), spec).unwrap();
        let mut build = Command::new("rpmbuild");
        build.args(["-bb", "--quiet", "--define", "_build_id_links none"]);
        build.arg("--define").arg(format!("_topdir {}", at("build").display()));
        run(build.arg(at("spec")))?;
        let mut install = Command::new("rpm");
        install.args(["--justdb", "--nodeps", "--ignorearch", "--ignoreos", "-i"]);
        install.arg("--dbpath").arg(at("db")).args(["--define", "_db_backend sqlite"]);
        run(install.arg(at(&format!("build/RPMS/noarch/{name}-1-1.noarch.rpm"))))?;
    }
    let path = at("db/rpmdb.sqlite");
    Some((dir, path))
}

/// All that a database says of its files.
fn told(headers: &Headers) -> Vec<(String, String, Option<Digest>)> {
    let files = headers.parsed().flat_map(|header| {
        let (name, algorithm) = (header.name(), header.algorithm());
        let told = move |file: header::Owned<'_>| {
            let path = [file.directory, file.name].concat();
            (name.clone(), String::from_utf8(path).unwrap(), algorithm.read(file.digest))
        };
        header.files().map(told).collect::<Vec<_>>()
    });
    let mut files: Vec<_> = files.collect();
    files.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    files
}

#[test]
fn a_database_of_rpms_own_is_read() {
    let Some((_dir, path)) = made(1) else { return println!("not run: needs rpm and rpmbuild") };
    let headers = Headers::read(&path).unwrap();
    let files = told(&headers);
    let paths: Vec<_> = files.iter().map(|(_, path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/usr/bin/link", "/usr/bin/one", "/usr/lib/other/repair"]);
    assert_eq!(files[1].2, Some(Digest::Sha256(ONE.parse().unwrap())));
    assert_eq!(files[0].2, None, "a link holds nothing");
    let chosen = [Pattern::new("rep*").unwrap()];
    let files: Vec<_> = headers.files(&chosen).into_iter().map(|(path, _)| path).collect();
    assert!(files.contains(&"/usr/bin/one".into()), "{files:?}");
    assert!(headers.files(&[Pattern::new("rep").unwrap()]).is_empty());
    let mut brought = Vec::new();
    headers.brought(&mut |installed, file| {
        let path = String::from_utf8([file.directory, file.name].concat()).unwrap();
        brought.push((path, installed.clone(), file.digest.clone()));
    });
    let installed = Installed {
        database: Database::Rpm,
        name: "repair".to_owned(),
        version: "3:1-1".to_owned(),
        vendor: "Example Works".to_owned(),
    };
    assert_eq!(brought.len(), 2, "a link is brought by nobody: {brought:?}");
    assert_eq!(
        brought[0],
        ("/usr/bin/one".to_owned(), installed, Some(Digest::Sha256(ONE.parse().unwrap())))
    );
}

#[test]
fn what_still_stands_in_its_log_counts() {
    let Some((_dir, path)) = made(1) else { return println!("not run: needs rpm and rpmbuild") };
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    writer.execute("INSERT INTO Packages (blob) SELECT blob FROM Packages", []).unwrap();
    assert!(sqlite::headers(&path).unwrap().len() == 2);
    drop(writer);
    for log in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{log}", path.display()));
    }
    assert_eq!(sqlite::headers(&path).unwrap().len(), 2, "closed properly, it has none");
}

/// A database of the form that SUSE uses, of headers as they stand in another.
fn as_ndb(headers: &[Vec<u8>]) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let (mut slots, mut blobs) = (Vec::new(), Vec::new());
    for (index, header) in headers.iter().enumerate() {
        let block = (4096 + blobs.len()) / 16;
        let start = blobs.len();
        blobs.extend([*b"BlbS", number(index + 1), number(1), number(header.len())].concat());
        blobs.extend(header);
        blobs.resize((blobs.len() + 12).next_multiple_of(16) - 12, 0);
        blobs.extend([number(0), number(header.len()), *b"BlbE"].concat());
        slots.extend(
            [*b"Slot", number(index + 1), number(block), number((blobs.len() - start) / 16)].concat(),
        );
    }
    let mut bytes = [*b"RpmP", number(0), number(1), number(1), number(headers.len() + 1)].concat();
    bytes.resize(32, 0);
    bytes.extend(slots);
    while bytes.len() < 4096 {
        bytes.extend([*b"Slot", [0; 4], [0; 4], [0; 4]].concat());
    }
    bytes.extend(blobs);
    bytes
}

#[test]
fn the_same_packages_are_told_by_every_form_of_database() {
    let Some((dir, path)) = made(3) else { return println!("not run: needs rpm and rpmbuild") };
    let headers = Headers::read(&path).unwrap();
    assert_eq!(headers.0.len(), 3);
    let ndb = dir.path().join("Packages.db");
    fs::write(&ndb, as_ndb(&headers.0)).unwrap();
    assert_eq!(told(&Headers::read(&ndb).unwrap()), told(&headers));

    let bdb = dir.path().join("Packages");
    for order in ["1234", "4321"] {
        let _ = fs::remove_file(&bdb);
        let Some(()) = as_bdb(&bdb, order, &headers.0) else { return println!("not run: needs db5.3-util") };
        assert_eq!(told(&Headers::read(&bdb).unwrap()), told(&headers), "{order}");
    }
}

/// A database of the older form, made by Berkeley DB itself, with the entry that counts the packages.
fn as_bdb(path: &Path, order: &str, headers: &[Vec<u8>]) -> Option<()> {
    use std::io::Write;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut text = "VERSION=3\nformat=bytevalue\ntype=hash\nHEADER=END\n 00000000\n 03000000\n".to_owned();
    for (number, header) in headers.iter().enumerate() {
        text.push_str(&format!(" {:08x}\n {}\n", number + 1, hex(header)));
    }
    text.push_str("DATA=END\n");
    let mut load = Command::new("db5.3_load");
    load.args(["-c", &format!("db_lorder={order}"), "-c", "db_pagesize=4096"]).arg(path);
    let mut load = load.stdin(std::process::Stdio::piped()).spawn().ok()?;
    load.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(load.wait().unwrap().success());
    Some(())
}

#[test]
fn whatever_a_database_holds_it_is_read_to_an_end() {
    let mut headers = vec![vec![0, 0, 0, 0, 0, 0, 0, 0], vec![0xff; 64]];
    let strange = |headers: &[Vec<u8>]| {
        let headers = Headers(headers.to_vec());
        assert!(headers.files(&[Pattern::new("*").unwrap()]).len() < 100);
        let paths = BTreeSet::from(["/usr/bin/one".into()]);
        headers.recorded(&mut Wanted::new(&paths), &mut |_, _| {});
    };
    strange(&headers);
    if let Some((dir, path)) = made(1) {
        headers = Headers::read(&path).unwrap().0;
        let bdb = dir.path().join("Packages");
        let forms =
            [Some(as_ndb(&headers)), as_bdb(&bdb, "1234", &headers).and_then(|()| fs::read(&bdb).ok())];
        let read: [Reader; 2] = [ndb::headers, bdb::headers];
        for (bytes, read) in forms.into_iter().zip(read).filter_map(|(form, read)| Some((form?, read))) {
            assert_eq!(read(&bytes).unwrap().len(), 1);
            changed(&bytes, |bytes| {
                if let Ok(headers) = read(bytes) {
                    strange(&headers);
                }
            });
        }
        changed(&headers[0], |header| strange(&[header.to_vec()]));
        // Cut off, it is refused and not taken for one of fewer packages.
        let whole = as_ndb(&headers);
        assert!(ndb::headers(&whole[..whole.len() - 16]).is_err());
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("a", &b"SQLite format 3\0"[..]), ("b", b"RpmP"), ("c", b""), ("d", b"#!/bin/sh\n")]
    {
        fs::write(dir.path().join(name), text).unwrap();
        assert!(Headers::read(&dir.path().join(name)).is_err(), "{name}");
    }
}

/// Reads one form of database.
type Reader = fn(&[u8]) -> io::Result<Vec<Vec<u8>>>;

/// Calls for versions of some bytes in which one or two numbers are others.
fn changed(bytes: &[u8], mut look: impl FnMut(&[u8])) {
    let mut seed = 0x9e37_79b9_u32;
    let mut next = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as usize % below
    };
    let numbers = [0, 1, 0x10, 0xff, 0x7fff_ffff, 0xffff_ffff_u32];
    for _ in 0..4000 {
        let mut other = bytes.to_vec();
        for _ in 0..=next(2) {
            // Most of what is interesting stands at the beginning.
            let at = if next(2) == 0 { next(bytes.len() - 4) } else { next(256.min(bytes.len() - 4)) };
            other[at..at + 4].copy_from_slice(&numbers[next(numbers.len())].to_be_bytes());
        }
        look(&other);
    }
}

#[test]
fn protected_packages_are_named_one_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sudo.conf"), "# why\nsudo\n\nsystemd # init\n").unwrap();
    let found = protected([dir.path(), Path::new("/nowhere")].into_iter());
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["sudo", "systemd"]);
}
