//! A sample leaves as a zip archive behind a password, so that nothing on the way runs it or takes it away.

use std::fs::File;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use model::Sha256;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc;
use zip::write::SimpleFileOptions;
use zip::{AesMode, CompressionMethod, ZipWriter};

use super::mask;

/// By custom: it keeps scanners and double clicks out, and nobody is to guess it.
pub(crate) const PASSWORD: &str = "infected";

/// As much as is made at a time, and so many of them wait for a slow reader.
const PIECE: usize = 64 << 10;
const PIECES: usize = 4;

/// The archive of a sample, made while it is sent.
pub(crate) fn archive(sha256: Sha256, file: File, turn: OwnedSemaphorePermit) -> Body {
    let (pieces, body) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let made = write(sha256, file, Pieces { sender: pieces.clone(), piece: Vec::with_capacity(PIECE) });
        if let Err(error) = made {
            tracing::warn!(%sha256, %error, "a sample was not sent whole");
            // The reader must not take what he has for all.
            let _ = pieces.blocking_send(Err(error));
        }
        drop(turn);
    });
    Body::new(Coming(body))
}

fn write(sha256: Sha256, mut file: File, pieces: Pieces) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut zip = ZipWriter::new_stream(pieces);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(length > u64::from(u32::MAX) - (1 << 20))
        .unix_permissions(0o400)
        .with_aes_encryption(AesMode::Aes256, PASSWORD);
    zip.start_file(sha256.to_string(), options)?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => {
                mask(&mut piece[..read]);
                zip.write_all(&piece[..read])?;
            }
        }
    }
    zip.finish()?.into_inner().flush()
}

/// Where the archive goes.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// The archive as it comes.
struct Coming(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Coming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
