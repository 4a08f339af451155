//! The files of one filesystem, and what each holds.
//!
//! One change at a time, so that it is known what a file holds afterwards; who runs a file asks nobody.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::contents::{Contents, write_program};

/// How many names there are on each filesystem.
const NAMES: usize = 12;

pub(crate) struct Files {
    names: Vec<Name>,
    /// Which names are those of one inode: each has its inode's number here. Held by who changes something.
    inodes: Mutex<Vec<usize>>,
}

struct Name {
    path: PathBuf,
    /// Odd while something changes; its upper part counts changes, its lower byte is the content.
    state: AtomicU64,
}

/// What a name stood for at some moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight(u64);

impl Sight {
    /// The content, if nobody is changing it.
    pub(crate) fn content(self) -> Option<usize> {
        (self.0 >> 8).is_multiple_of(2).then_some((self.0 & 0xff) as usize)
    }
}

/// The right to change the files of one filesystem.
pub(crate) struct Changing<'f> {
    files: &'f Files,
    inodes: MutexGuard<'f, Vec<usize>>,
    touched: Vec<usize>,
}

impl Files {
    pub(crate) fn make(ground: &Path, contents: &Contents) -> Self {
        let dir = ground.join("files");
        fs::create_dir(&dir).unwrap();
        let names = (0..NAMES).map(|name| {
            let path = dir.join(name.to_string());
            write_program(&path, &fs::read(contents.source(1)).unwrap());
            Name { path, state: AtomicU64::new(1) }
        });
        Self { names: names.collect(), inodes: Mutex::new((0..NAMES).collect()) }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn path(&self, name: usize) -> &Path {
        &self.names[name].path
    }

    pub(crate) fn look(&self, name: usize) -> Sight {
        Sight(self.names[name].state.load(Ordering::SeqCst))
    }

    /// Begins a change of what these names stand for, and with them all other names of their inodes.
    pub(crate) fn change(&self, names: &[usize]) -> Changing<'_> {
        let inodes = self.inodes.lock().unwrap();
        let touched: Vec<_> = (0..self.len())
            .filter(|other| names.iter().any(|name| inodes[*name] == inodes[*other]))
            .collect();
        for name in &touched {
            self.names[*name].state.fetch_add(1 << 8, Ordering::SeqCst);
        }
        Changing { files: self, inodes, touched }
    }
}

impl Changing<'_> {
    pub(crate) fn content(&self, name: usize) -> usize {
        (self.files.look(name).0 & 0xff) as usize
    }

    /// All names of the inode have this content now.
    pub(crate) fn holds(&self, name: usize, content: usize) {
        for other in (0..self.inodes.len()).filter(|other| self.inodes[*other] == self.inodes[name]) {
            self.set(other, content);
        }
    }

    fn set(&self, name: usize, content: usize) {
        let state = &self.files.names[name].state;
        state.store(state.load(Ordering::SeqCst) & !0xff | content as u64, Ordering::SeqCst);
    }

    /// The name is that of an inode of its own now.
    pub(crate) fn is_new(&mut self, name: usize) {
        let new = self.inodes.iter().max().unwrap() + 1;
        self.inodes[name] = new;
    }

    /// The name is another one of that inode.
    pub(crate) fn is_linked(&mut self, name: usize, to: usize) {
        self.inodes[name] = self.inodes[to];
        self.set(name, self.content(to));
    }

    pub(crate) fn are_exchanged(&mut self, one: usize, other: usize) {
        self.inodes.swap(one, other);
        let contents = (self.content(one), self.content(other));
        self.set(one, contents.1);
        self.set(other, contents.0);
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        for name in &self.touched {
            self.files.names[*name].state.fetch_add(1 << 8, Ordering::SeqCst);
        }
    }
}
