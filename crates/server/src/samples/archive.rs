//! A sample leaves as a zip archive behind a password, so that nothing on the way runs it or takes it away.

use std::fs::File;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use model::Sha256;
use tokio::task::{JoinHandle, spawn_blocking};
use zip::write::SimpleFileOptions;
use zip::{AesMode, CompressionMethod, ZipWriter};

use super::{Turn, mask};

/// By custom: it keeps scanners and double clicks out, and nobody is to guess it.
pub(crate) const PASSWORD: &str = "infected";

/// As much as is made at a time. One more piece is made while one is sent, and none for a reader who does not come.
const PIECE: usize = 128 << 10;

/// The archive of a sample, made while it is sent. The turn ends with it.
pub(crate) fn archive(sha256: Sha256, file: File, turn: Turn) -> Body {
    let next = spawn_blocking(move || {
        let maker: Maker = Box::new(maker(sha256, file)?);
        make(maker)
    });
    Body::new(Leaving { sha256, next: Some(next), _turn: turn })
}

/// Makes the next piece; none when all were made.
type Maker = Box<dyn FnMut() -> io::Result<Option<Vec<u8>>> + Send>;
/// A piece, and who makes the next.
type Made = io::Result<Option<(Vec<u8>, Maker)>>;

fn make(mut maker: Maker) -> Made {
    Ok(maker()?.map(|piece| (piece, maker)))
}

fn maker(sha256: Sha256, mut file: File) -> io::Result<impl FnMut() -> io::Result<Option<Vec<u8>>>> {
    let length = file.metadata()?.len();
    let pot = Pot::default();
    let mut zip = ZipWriter::new_stream(pot.clone());
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(length > u64::from(u32::MAX) - (1 << 20))
        .unix_permissions(0o400)
        .with_aes_encryption(AesMode::Aes256, PASSWORD);
    zip.start_file(sha256.to_string(), options)?;
    let mut unfinished = Some(zip);
    Ok(move || {
        let Some(zip) = &mut unfinished else { return Ok(None) };
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece)? {
            0 => {
                if let Some(zip) = unfinished.take() {
                    zip.finish()?;
                }
            }
            read => {
                mask(&mut piece[..read]);
                zip.write_all(&piece[..read])?;
            }
        }
        Ok(Some(pot.take()))
    })
}

/// Where the archive gathers until it is taken away.
#[derive(Clone, Default)]
struct Pot(Arc<Mutex<Vec<u8>>>);

impl Pot {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Pot {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The archive on its way. A reader who takes nothing costs a connection and two pieces, and no thread.
struct Leaving {
    sha256: Sha256,
    /// None when all has left, or it broke off.
    next: Option<JoinHandle<Made>>,
    _turn: Turn,
}

impl hyper::body::Body for Leaving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let made = ready!(Pin::new(next).poll(context)).unwrap_or_else(|error| Err(io::Error::other(error)));
        self.next = None;
        Poll::Ready(match made {
            Ok(Some((piece, maker))) => {
                self.next = Some(spawn_blocking(move || make(maker)));
                Some(Ok(Frame::data(piece.into())))
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(sha256 = %self.sha256, %error, "a sample was not sent whole");
                // The reader must not take what he has for all.
                Some(Err(error))
            }
        })
    }
}
