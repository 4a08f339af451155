//! What packages brought, told to the agent by the process that may read their databases and nothing else.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use model::origin::Origin;
use wire::link::frame;
use wire::link::v1::{self, origin_part::Part};

use super::index::{Entry, MOST_FILES, key};
use crate::spared::{Brought, Installed, Packages, confine};

/// So many entries are told at a time.
const TOGETHER: usize = 4096;

/// Writes all that packages say to standard output, and returns.
///
/// # Errors
/// When this process can't be confined, or nobody reads.
pub fn run(parent: i32) -> anyhow::Result<()> {
    confine(parent)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let packages = Packages::read();
    let mut gathered = Gathered::default();
    packages.brought(&mut |installed, file| gathered.add(installed, file));
    gathered.tell(packages.unreadable, &mut out)?;
    Ok(out.flush()?)
}

/// Packages and files, as they come.
#[derive(Default)]
pub(super) struct Gathered {
    numbers: HashMap<Installed, u32>,
    packages: Vec<Installed>,
    entries: Vec<Entry>,
    /// Where directories really lie: some have moved below `/usr` on machines, and not in every package.
    directories: HashMap<Vec<u8>, Option<PathBuf>>,
}

impl Gathered {
    pub(super) fn add(&mut self, installed: &Installed, file: &Brought<'_>) {
        if self.entries.len() >= MOST_FILES as usize {
            return;
        }
        if !self.directories.contains_key(file.directory) {
            let canonical = Path::new(OsStr::from_bytes(file.directory)).canonicalize().ok();
            self.directories.insert(file.directory.to_owned(), canonical);
        }
        // What is not there is nowhere.
        let Some(Some(directory)) = self.directories.get(file.directory) else { return };
        let key = key(&directory.join(OsStr::from_bytes(file.name)));
        let package = self.number(installed);
        self.entries.push(Entry::new(key, package, file.digest.as_ref()));
    }

    fn number(&mut self, installed: &Installed) -> u32 {
        if let Some(number) = self.numbers.get(installed) {
            return *number;
        }
        let number = self.packages.len() as u32;
        self.packages.push(installed.clone());
        self.numbers.insert(installed.clone(), number);
        number
    }

    pub(super) fn tell(mut self, unreadable: Vec<String>, out: &mut impl Write) -> io::Result<()> {
        let mut say = |part| out.write_all(&frame::encode(&v1::OriginPart { part: Some(part) })?);
        for installed in &self.packages {
            say(Part::Package((&origin(installed)).into()))?;
        }
        self.entries.sort_unstable();
        self.entries.dedup();
        for some in self.entries.chunks(TOGETHER) {
            say(Part::Entries(some.iter().flat_map(Entry::encode).collect()))?;
        }
        say(Part::End(v1::OriginEnd { unreadable }))
    }
}

fn origin(installed: &Installed) -> Origin {
    let cut = |text: &str| text[..text.floor_char_boundary(Origin::LONGEST)].to_owned();
    Origin {
        database: installed.database,
        package: cut(&installed.name),
        version: cut(&installed.version),
        vendor: Some(cut(&installed.vendor)).filter(|vendor| !vendor.is_empty()),
        matches: None,
    }
}
