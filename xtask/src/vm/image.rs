//! What lies in the guest's memory when its kernel starts: a tree of files, as a cpio archive.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cpio::newc::{Builder, ModeFileType, trailer};

const DIRECTORIES: &[&str] = &["dev", "etc", "proc", "run", "sys", "tmp", "usr/bin", "usr/sbin"];
/// As everywhere, these are names of what lies under `usr`.
const MERGED: &[&str] = &["bin", "lib", "lib64", "sbin"];

/// What has a name.
enum Node {
    Directory,
    Symlink(String),
    /// A file of the host.
    Host {
        path: PathBuf,
        mode: u32,
    },
    Text(String),
}

/// The tree, by names without a leading slash.
pub(crate) struct Image {
    nodes: BTreeMap<String, Node>,
}

impl Image {
    /// Empty directories.
    pub(crate) fn new() -> Self {
        let mut image = Self { nodes: BTreeMap::new() };
        for directory in DIRECTORIES {
            image.add(directory, Node::Directory);
        }
        for name in MERGED {
            image.add(name, Node::Symlink(format!("usr/{name}")));
            image.add(&format!("usr/{name}"), Node::Directory);
        }
        image
    }

    /// A small file.
    pub(crate) fn text(&mut self, place: &str, text: impl Into<String>) {
        self.add(place, Node::Text(text.into()));
    }

    /// A file of the host, or a whole directory. A program brings the libraries that it is linked with.
    pub(crate) fn put(&mut self, from: &Path, place: &str) -> Result<()> {
        let metadata = fs::metadata(from).with_context(|| format!("cannot read {}", from.display()))?;
        if metadata.is_dir() {
            self.add(place, Node::Directory);
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                let name = entry.file_name().into_string().ok().context("a name that is no text")?;
                let place = format!("{place}/{name}");
                if entry.file_type()?.is_symlink() {
                    let target = fs::read_link(entry.path())?;
                    self.add(&place, Node::Symlink(target.to_string_lossy().into_owned()));
                } else {
                    self.put(&entry.path(), &place)?;
                }
            }
            return Ok(());
        }
        let path = fs::canonicalize(from)?;
        for library in libraries(&path)? {
            let real = fs::canonicalize(&library)?;
            let mode = fs::metadata(&real)?.permissions().mode();
            self.add(&library.to_string_lossy(), Node::Host { path: real, mode });
        }
        self.add(place, Node::Host { path, mode: metadata.permissions().mode() });
        Ok(())
    }

    /// Names what leads to it, too.
    fn add(&mut self, place: &str, node: Node) {
        let place = merged(place.trim_matches('/'));
        let mut above = Path::new(&place);
        while let Some(parent) = above.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let name = parent.to_string_lossy().into_owned();
            self.nodes.entry(name).or_insert(Node::Directory);
            above = parent;
        }
        self.nodes.insert(place, node);
    }

    /// Writes the archive.
    pub(crate) fn write(&self, to: &Path) -> Result<()> {
        let mut archive =
            BufWriter::new(File::create(to).with_context(|| format!("cannot write {}", to.display()))?);
        for ((name, node), number) in self.nodes.iter().zip(1..) {
            let entry = Builder::new(name).ino(number);
            archive = match node {
                Node::Directory => {
                    let entry = entry.mode(0o755).set_mode_file_type(ModeFileType::Directory);
                    entry.write(archive, 0).finish()?
                }
                Node::Symlink(target) => {
                    let entry = entry.mode(0o777).set_mode_file_type(ModeFileType::Symlink);
                    copy(entry, archive, Cursor::new(target), target.len() as u64)?
                }
                Node::Text(text) => {
                    let entry = entry.mode(0o644).set_mode_file_type(ModeFileType::Regular);
                    copy(entry, archive, Cursor::new(text), text.len() as u64)?
                }
                Node::Host { path, mode } => {
                    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
                    let length = file.metadata()?.len();
                    let entry = entry.mode(mode & 0o7777).set_mode_file_type(ModeFileType::Regular);
                    copy(entry, archive, file, length)?
                }
            };
        }
        trailer(archive)?.flush()?;
        Ok(())
    }
}

fn copy<W: Write>(entry: Builder, archive: W, mut from: impl std::io::Read, length: u64) -> Result<W> {
    let mut writer = entry.write(archive, u32::try_from(length).context("a file above 4 GiB")?);
    std::io::copy(&mut from, &mut writer)?;
    Ok(writer.finish()?)
}

fn merged(place: &str) -> String {
    let head = place.split('/').next().unwrap_or_default();
    // The four names themselves stay what they are.
    if place.contains('/') && MERGED.contains(&head) { format!("usr/{place}") } else { place.to_owned() }
}

/// The shared libraries of a program, by the paths under which it looks for them; none for other files.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let mut magic = [0; 4];
    let is_program = File::open(program)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic))
        .is_ok_and(|()| &magic == b"\x7fELF");
    if !is_program {
        return Ok(Vec::new());
    }
    let listed = Command::new("ldd").arg(program).output().context("cannot start ldd")?;
    // It fails for programs that are linked statically, and for objects.
    if !listed.status.success() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&listed.stdout);
    if let Some(line) = text.lines().find(|line| line.contains("not found")) {
        bail!("{} lacks a library: {}", program.display(), line.trim());
    }
    Ok(text.lines().filter_map(path_in).collect())
}

/// The path in a line such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` or `/lib64/ld-linux… (0x…)`.
fn path_in(line: &str) -> Option<PathBuf> {
    let path = line.split_whitespace().find(|word| word.starts_with('/'))?;
    Some(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_the_list() {
        assert_eq!(path_in("\tlinux-vdso.so.1 (0x00007ffd)"), None);
        assert_eq!(path_in("\tlibc.so.6 => /lib/a/libc.so.6 (0x00007f)"), Some("/lib/a/libc.so.6".into()));
        assert_eq!(path_in("\t/lib64/ld-linux.so.2 (0x00007f)"), Some("/lib64/ld-linux.so.2".into()));
    }

    #[test]
    fn a_program_brings_its_libraries_and_the_way_to_them() {
        let mut image = Image::new();
        image.put(Path::new("/bin/sh"), "/bin/sh").unwrap();
        assert!(matches!(image.nodes["bin"], Node::Symlink(_)));
        assert!(matches!(image.nodes["usr/bin/sh"], Node::Host { mode, .. } if mode & 0o111 != 0));
        assert!(image.nodes.keys().any(|name| name.ends_with("libc.so.6")));
        assert!(image.nodes.keys().all(|name| !name.starts_with("lib/")));
    }

    #[test]
    fn the_archive_holds_the_tree() {
        let directory = tempfile::tempdir().unwrap();
        let mut image = Image::new();
        image.text("/orders/0/arguments", "true\0");
        let path = directory.path().join("image");
        image.write(&path).unwrap();
        let mut archive = Cursor::new(fs::read(path).unwrap());
        let mut names = Vec::new();
        loop {
            let reader = cpio::NewcReader::new(archive).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            names.push(reader.entry().name().to_owned());
            archive = reader.finish().unwrap();
        }
        let position = |name: &str| names.iter().position(|other| other == name);
        assert!(position("orders/0").unwrap() < position("orders/0/arguments").unwrap());
    }
}
