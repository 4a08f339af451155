//! dpkg's database, read directly: it is text.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glob::Pattern;
use model::Md5;

use super::wanted::Wanted;
use super::{
    Brought, Database, Digest, Installed, Owned, Recorded, may_be_program, may_hold_programs, without_address,
};

/// Where it lies.
pub(super) const PLACE: &str = "/var/lib/dpkg";

/// The packages that are installed.
pub(super) struct Dpkg {
    info: PathBuf,
    packages: BTreeMap<String, Package>,
    /// Files that lie elsewhere than their package says: where they lie, and the package that has its own there.
    diverted: HashMap<Vec<u8>, (Vec<u8>, String)>,
}

#[derive(Default)]
struct Package {
    version: String,
    maintainer: String,
    /// By its own word nothing works without it.
    is_essential: bool,
    /// Files that it lets an administrator change, as it brought them.
    configuration: Vec<(Vec<u8>, Md5)>,
}

impl Dpkg {
    /// None where dpkg is not used.
    pub(super) fn read(place: &Path) -> io::Result<Option<Self>> {
        let status = match fs::read(place.join("status")) {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let diversions = fs::read(place.join("diversions")).unwrap_or_default();
        let (packages, diverted) = (packages(&status), diversions_in(&diversions));
        Ok(Some(Self { info: place.join("info"), packages, diverted }))
    }

    /// The files of essential packages, and of those with such names.
    pub(super) fn files(&self, chosen: &[Pattern]) -> Vec<Owned> {
        let mut files = Vec::new();
        for (name, package) in &self.packages {
            let why = match name {
                _ if package.is_essential => format!("part of the essential package {name}"),
                name if chosen.iter().any(|pattern| pattern.matches(name)) => {
                    format!("part of the package {name}")
                }
                _ => continue,
            };
            let lists = self.lists("list").filter(|(owner, _)| owner == name);
            for (_, list) in lists {
                let Ok(list) = fs::read(list) else { continue };
                let paths = list.split(|byte| *byte == b'\n').filter(|path| path.starts_with(b"/"));
                let paths = paths.map(|path| path_of(self.where_lies(path, name)));
                files.extend(paths.filter(|path| may_be_program(path)).map(|path| (path, why.clone())));
            }
        }
        files
    }

    /// What packages say of the wanted files.
    pub(super) fn recorded(&self, wanted: &mut Wanted<'_>, note: &mut impl FnMut(&Path, Recorded)) {
        let mut tell = |path: &[u8], package: &str, md5: Md5| {
            let (package, digest) = (package.to_owned(), Digest::Md5(md5));
            if let Some(path) = wanted.find_path(path) {
                note(path, Recorded { database: Database::Dpkg, package, digest });
            }
        };
        for (package, sums) in self.lists("md5sums") {
            let Ok(sums) = fs::read(sums) else { continue };
            for (path, md5) in sums_in(&sums) {
                tell(self.where_lies(&path, &package), &package, md5);
            }
        }
        for (name, package) in &self.packages {
            for (path, md5) in &package.configuration {
                tell(self.where_lies(path, name), name, *md5);
            }
        }
    }

    /// Each package with the files that it brought.
    pub(super) fn brought(&self, note: &mut impl FnMut(&Installed, &Brought<'_>)) {
        let mut tell = |installed: &Installed, path: &[u8], digest: Option<Digest>| {
            let path = self.where_lies(path, &installed.name);
            let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else { return };
            if may_hold_programs(path) {
                let (directory, name) = (&path[..slash.max(1)], &path[slash + 1..]);
                note(installed, &Brought { directory, name, digest });
            }
        };
        for (name, package) in &self.packages {
            let installed = package.installed(name);
            for (path, md5) in &package.configuration {
                tell(&installed, path, Some(Digest::Md5(*md5)));
            }
        }
        let mut with_sums = HashSet::new();
        for (name, sums) in self.lists("md5sums") {
            let (Some(package), Ok(text)) = (self.packages.get(&name), fs::read(&sums)) else { continue };
            let installed = package.installed(&name);
            for (path, md5) in sums_in(&text) {
                tell(&installed, &path, Some(Digest::Md5(md5)));
            }
            with_sums.insert(sums.with_extension("list"));
        }
        // Few packages have no sums at all.
        for (name, list) in self.lists("list").filter(|(_, list)| !with_sums.contains(list)) {
            let (Some(package), Ok(text)) = (self.packages.get(&name), fs::read(&list)) else { continue };
            let installed = package.installed(&name);
            let is_configuration = |path: &[u8]| package.configuration.iter().any(|(known, _)| known == path);
            let paths = text.split(|byte| *byte == b'\n').filter(|path| path.starts_with(b"/"));
            for path in paths.filter(|path| !is_configuration(path)) {
                tell(&installed, path, None);
            }
        }
    }

    /// Where what a package calls so lies.
    fn where_lies<'p>(&'p self, path: &'p [u8], package: &str) -> &'p [u8] {
        match self.diverted.get(path) {
            Some((elsewhere, by)) if by != package => elsewhere,
            _ => path,
        }
    }

    /// The lists of one kind with the packages that they are of.
    fn lists(&self, kind: &str) -> impl Iterator<Item = (String, PathBuf)> {
        let files = fs::read_dir(&self.info).into_iter().flatten().flatten().map(|entry| entry.path());
        let files = files.filter(move |file| file.extension().is_some_and(|end| end == kind));
        files.map(|file| {
            let package = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            // The architecture stands behind a colon where packages of several can be installed.
            (package.split(':').next().unwrap_or_default().to_owned(), file)
        })
    }
}

impl Package {
    fn installed(&self, name: &str) -> Installed {
        Installed {
            database: Database::Dpkg,
            name: name.to_owned(),
            version: self.version.clone(),
            vendor: without_address(&self.maintainer),
        }
    }
}

/// The files of a list of sums.
fn sums_in(text: &[u8]) -> impl Iterator<Item = (Vec<u8>, Md5)> {
    text.split(|byte| *byte == b'\n').filter_map(|line| {
        let (md5, name) = line.split_at_checked(32)?;
        let path = [b"/", name.trim_ascii_start()].concat();
        Some((path, parsed(md5)?))
    })
}

fn packages(status: &[u8]) -> BTreeMap<String, Package> {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    let (mut name, mut is_installed, mut package) = (String::new(), false, Package::default());
    let mut in_configuration = false;
    for line in status.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        if line.is_empty() {
            let (name, package) = (std::mem::take(&mut name), std::mem::take(&mut package));
            if is_installed && !name.is_empty() {
                let known = packages.entry(name).or_default();
                known.is_essential |= package.is_essential;
                (known.version, known.maintainer) = (package.version, package.maintainer);
                known.configuration.extend(package.configuration);
            }
            (is_installed, in_configuration) = (false, false);
        } else if line.starts_with(b" ") {
            package.configuration.extend(in_configuration.then(|| configuration(line)).flatten());
        } else if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            let (field, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            in_configuration = field == b"Conffiles";
            match field {
                b"Package" => name = String::from_utf8_lossy(value).into_owned(),
                // Its files are there, whether or not it is configured yet.
                b"Status" => {
                    let state = value.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
                    is_installed = !matches!(state, b"not-installed" | b"config-files");
                }
                b"Version" => package.version = String::from_utf8_lossy(value).into_owned(),
                b"Maintainer" => package.maintainer = String::from_utf8_lossy(value).into_owned(),
                b"Essential" | b"Protected" => package.is_essential |= value == b"yes",
                _ => {}
            }
        }
    }
    packages
}

/// ` PATH MD5`, and behind that perhaps ` obsolete`.
fn configuration(line: &[u8]) -> Option<(Vec<u8>, Md5)> {
    let mut words = line.trim_ascii().rsplit(|byte| *byte == b' ');
    let mut last = words.next()?;
    let mut length = last.len();
    while matches!(last, b"obsolete" | b"remove-on-upgrade") {
        last = words.next()?;
        length += 1 + last.len();
    }
    let line = line.trim_ascii();
    let path = line.get(..line.len().checked_sub(length + 1)?)?;
    Some((path.to_owned(), parsed(last)?))
}

/// Three lines each: what is diverted, where to, and for whom (`:` for an administrator).
fn diversions_in(text: &[u8]) -> HashMap<Vec<u8>, (Vec<u8>, String)> {
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    let triples = lines.chunks_exact(3).map(|triple| {
        (triple[0].to_owned(), (triple[1].to_owned(), String::from_utf8_lossy(triple[2]).into_owned()))
    });
    triples.collect()
}

fn parsed(md5: &[u8]) -> Option<Md5> {
    std::str::from_utf8(md5).ok()?.parse().ok()
}

fn path_of(bytes: &[u8]) -> PathBuf {
    wire::link::things::path_of(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SUM: &str = "900150983cd24fb0d6963f7d28e17f72";

    /// A machine whose `/bin` is in `/usr`, below a directory.
    fn machine() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        fs::create_dir_all(path.join("usr/bin")).unwrap();
        fs::create_dir_all(path.join("etc/init.d")).unwrap();
        fs::create_dir_all(path.join("dpkg/info")).unwrap();
        std::os::unix::fs::symlink("usr/bin", path.join("bin")).unwrap();
        (root, path)
    }

    #[test]
    fn packages_tell_what_files_must_hold() {
        let (_root, root) = machine();
        let at = |path: &str| root.join(path).to_str().unwrap().to_owned();
        let info = |name: &str, text: String| fs::write(root.join("dpkg/info").join(name), text).unwrap();
        let relative = |path: &str| at(path)[1..].to_owned();
        info("dash.md5sums", format!("{SUM}  {}\n{SUM}  {}\n", relative("bin/dash"), relative("bin/sh")));
        info("other:amd64.md5sums", format!("{SUM}  {}\nrubbish\n", relative("usr/bin/sh")));
        info("bare.list", format!("{}\n/usr/share/doc/bare\n", at("usr/bin/bare")));
        info("dash.list", format!("/.\n{}\n{}\n/usr/share/doc/dash\n", at("bin/dash"), at("bin/sh")));
        let status = format!(
            "Package: dash\nVersion: 0.5-1\nMaintainer: The Maintainers <a@b.org>\nEssential: yes\nStatus: install ok installed\nConffiles:\n {} {SUM}\n {} {SUM} obsolete\n\
             Description: a shell\n of few words\n\nPackage: gone\nEssential: yes\nStatus: deinstall ok config-files\n\n\
             Package: other\nStatus: install ok half-configured\n\nPackage: bare\nStatus: install ok installed\n",
            at("etc/init.d/a b"),
            at("etc/init.d/old")
        );
        fs::write(root.join("dpkg/status"), status).unwrap();
        let diversions = format!("{}\n{}\nother\n", at("bin/sh"), at("bin/sh.distrib"));
        fs::write(root.join("dpkg/diversions"), diversions).unwrap();

        let dpkg = Dpkg::read(&root.join("dpkg")).unwrap().unwrap();
        let paths = ["usr/bin/dash", "usr/bin/sh", "usr/bin/sh.distrib", "etc/init.d/a b", "etc/init.d/old"];
        let paths: BTreeSet<PathBuf> = paths.iter().map(|path| root.join(path)).collect();
        let mut told = Vec::new();
        dpkg.recorded(&mut Wanted::new(&paths), &mut |path, recorded| {
            told.push((path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), recorded.package));
        });
        told.sort();
        let told: Vec<_> = told.iter().map(|(path, package)| (path.as_str(), package.as_str())).collect();
        let expected = [
            ("etc/init.d/a b", "dash"),
            ("etc/init.d/old", "dash"),
            ("usr/bin/dash", "dash"),
            ("usr/bin/sh", "other"),
            // Where dash's own lies since another took its place.
            ("usr/bin/sh.distrib", "dash"),
        ];
        assert_eq!(told, expected);

        let mut brought = Vec::new();
        dpkg.brought(&mut |installed, file| {
            let path = [file.directory, b"/", file.name].concat();
            let path = String::from_utf8(path).unwrap();
            let path = path.strip_prefix(root.to_str().unwrap()).unwrap_or(&path).to_owned();
            brought.push((
                path,
                format!("{} {} {}", installed.name, installed.version, installed.vendor),
                file.digest.is_some(),
            ));
        });
        brought.sort();
        let dash = "dash 0.5-1 The Maintainers";
        let expected = [
            ("/bin/dash", dash, true),
            ("/bin/sh.distrib", dash, true),
            ("/etc/init.d/a b", dash, true),
            ("/etc/init.d/old", dash, true),
            ("/usr/bin/bare", "bare  ", false),
            ("/usr/bin/sh", "other  ", true),
        ];
        let expected = expected.map(|(path, package, summed)| (path.to_owned(), package.to_owned(), summed));
        assert_eq!(brought, expected);

        let files = dpkg.files(&[]);
        let files: Vec<_> = files.iter().map(|(path, why)| (path.as_path(), why.as_str())).collect();
        let why = "part of the essential package dash";
        let expected =
            [(Path::new("/."), why), (&root.join("bin/dash"), why), (&root.join("bin/sh.distrib"), why)];
        assert_eq!(files, expected);
        assert!(dpkg.files(&[Pattern::new("oth*").unwrap()]).len() == files.len(), "it lists nothing");
    }

    #[test]
    fn where_dpkg_is_not_used_it_says_nothing() {
        let nowhere = tempfile::tempdir().unwrap();
        assert!(Dpkg::read(nowhere.path()).unwrap().is_none());
    }

    #[test]
    fn what_is_no_database_is_none() {
        for text in ["", "\n\n\n", ":\n", " x\n", "Package\nConffiles:\n x\n /a obsolete\n /b zz\n", "\u{0}"]
        {
            assert!(packages(text.as_bytes()).is_empty(), "{text:?}");
        }
    }
}
