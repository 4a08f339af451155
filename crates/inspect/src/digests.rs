//! The names of a file, made from its bytes.

use digest::Digest;
use model::{Digests, Md5, Sha1, Sha256};

/// Each digest is one long chain of steps, which leaves most of a processor idle. Taking turns after so few bytes, the
/// chains of two digests run beside each other: a tenth is won.
const TURN: usize = 128;

/// Feeds both to their ends, taking turns.
pub(crate) fn update_both(sha1: &mut sha1::Sha1, sha256: &mut sha2::Sha256, piece: &[u8]) {
    for part in piece.chunks(TURN) {
        sha1.update(part);
        sha256.update(part);
    }
}

/// Makes all three names of a file that is fed in pieces.
#[derive(Clone, Debug, Default)]
pub struct Digester {
    md5: md5::Md5,
    sha1: sha1::Sha1,
    sha256: sha2::Sha256,
}

impl Digester {
    /// Takes the next bytes of the file.
    pub fn update(&mut self, piece: &[u8]) {
        for part in piece.chunks(TURN) {
            self.md5.update(part);
            self.sha1.update(part);
            self.sha256.update(part);
        }
    }

    /// The names of what was fed.
    pub fn finish(self) -> Digests {
        Digests {
            sha256: Sha256(self.sha256.finalize().into()),
            sha1: Sha1(self.sha1.finalize().into()),
            md5: Md5(self.md5.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_names_of_the_whole() {
        for cut in 0..=3 {
            let mut digester = Digester::default();
            digester.update(&b"abc"[..cut]);
            digester.update(&b"abc"[cut..]);
            let names = digester.finish();
            assert_eq!(names.md5.to_string(), "900150983cd24fb0d6963f7d28e17f72");
            assert_eq!(names.sha1.to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
            assert!(names.sha256.to_string().starts_with("ba7816bf8f01cfea"));
        }
    }
}
