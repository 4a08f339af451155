//! A sample on its way in.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use model::{ActId, Digests, OrganizationId};
use sha2::Digest;

use super::{Samples, mask, on_disk, private};

/// A sample on its way in. What has come stays when this is dropped, and is gone on with later.
#[derive(Debug)]
pub(crate) struct Arriving {
    samples: Samples,
    organization: OrganizationId,
    /// For which act.
    pub(crate) act: ActId,
    /// What it is to be.
    pub(crate) digests: Digests,
    /// How long it is to be.
    pub(crate) size: u64,
    /// How much of it is here.
    pub(crate) at: u64,
    file: File,
    path: PathBuf,
}

impl Arriving {
    /// Goes on where it was left, or begins.
    pub(crate) fn open(
        samples: &Samples,
        organization: OrganizationId,
        act: ActId,
        digests: Digests,
        size: u64,
    ) -> io::Result<Self> {
        let path = samples.coming(act);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let mut at = file.metadata()?.len();
        if at > size {
            // Of another copy, before the machine was started anew.
            file.set_len(0)?;
            at = 0;
        }
        file.seek(SeekFrom::Start(at))?;
        Ok(Self { samples: samples.clone(), organization, act, digests, size, at, file, path })
    }

    /// Takes the next bytes in.
    pub(crate) fn write(&mut self, mut bytes: Vec<u8>) -> io::Result<()> {
        mask(&mut bytes);
        let written = self.file.write_all(&bytes);
        if written.is_ok() {
            self.at += bytes.len() as u64;
        } else {
            // What was written of it is written again.
            self.file.set_len(self.at)?;
        }
        written
    }

    /// Gives up what has come.
    pub(crate) fn give_up(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a part of a sample can't be removed");
        }
    }

    /// Makes it durable and reads it back. False when it is not what was announced.
    pub(crate) fn check(&mut self) -> io::Result<bool> {
        self.file.sync_all()?;
        self.file.seek(SeekFrom::Start(0))?;
        let (mut hasher, mut sha1) = (sha2::Sha256::new(), sha1::Sha1::new());
        let mut piece = vec![0; 256 << 10];
        let mut length = 0;
        loop {
            match self.file.read(&mut piece)? {
                0 => break,
                read => {
                    mask(&mut piece[..read]);
                    hasher.update(&piece[..read]);
                    sha1.update(&piece[..read]);
                    length += read as u64;
                }
            }
        }
        // By its SHA-1 an order may name it: that is not taken on the machine's word either.
        Ok(length == self.size
            && <[u8; 32]>::from(hasher.finalize()) == self.digests.sha256.0
            && <[u8; 20]>::from(sha1.finalize()) == self.digests.sha1.0)
    }

    /// Gives it its name, durably; then `note` lets the store know of it, before anybody may take it for surplus.
    pub(crate) async fn keep<E: From<io::Error>>(
        self,
        note: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let naming = self.samples.naming.clone();
        let _naming = naming.lock().await;
        let place = self.samples.place(self.organization, self.digests.sha256);
        on_disk(move || {
            let Some(dir) = place.parent() else { return Ok(()) };
            private(dir)?;
            std::fs::rename(&self.path, &place)?;
            File::open(dir)?.sync_all()
        })
        .await?;
        note.await
    }
}
