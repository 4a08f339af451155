//! A list's bytes, from the call that brings them to the thread that reads them.

use std::io::{self, Read};

use axum::body::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

/// So many pieces wait for the reader; who brings more waits for it.
const WAITING: usize = 4;

/// What comes over.
pub(super) enum Piece {
    /// Some more bytes.
    Bytes(Bytes),
    /// That was all. A feed that ends without this was cut off.
    End,
}

/// Both ends of a feed.
pub(super) fn new() -> (mpsc::Sender<Piece>, Feed) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let feed = Feed { pieces, piece: Bytes::new(), ended: false, hasher: Sha256::new(), read: 0 };
    (sender, feed)
}

/// The reader's end.
pub(super) struct Feed {
    pieces: mpsc::Receiver<Piece>,
    piece: Bytes,
    ended: bool,
    hasher: Sha256,
    read: u64,
}

impl Feed {
    /// How much was read, and its SHA-256.
    pub(super) fn summary(self) -> (u64, [u8; 32]) {
        (self.read, self.hasher.finalize().into())
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => {
                    self.hasher.update(&bytes);
                    self.read += bytes.len() as u64;
                    self.piece = bytes;
                }
                Some(Piece::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the call was cut off")),
            }
        }
        let length = self.piece.len().min(into.len());
        into[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_is_no_end() {
        let (sender, mut feed) = new();
        sender.blocking_send(Piece::Bytes(Bytes::from_static(b"abc"))).unwrap();
        sender.blocking_send(Piece::End).unwrap();
        let mut all = Vec::new();
        feed.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abc");
        let (length, sha256) = feed.summary();
        assert_eq!(length, 3);
        assert_eq!(
            model::Sha256(sha256).to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );

        let (sender, mut feed) = new();
        sender.blocking_send(Piece::Bytes(Bytes::from_static(b"abc"))).unwrap();
        drop(sender);
        assert_eq!(feed.read_to_end(&mut all).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
