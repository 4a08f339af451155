//! Client secrets. Only their digests are kept.

use std::io;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A new secret: 256 random bits, so that its plain digest can't be searched.
pub fn new_secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// What is kept of a secret.
pub fn digest_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Whether `secret` is the one that `digest` was kept of; how long the answer takes tells nothing.
pub fn secret_is(secret: &str, digest: &[u8; 32]) -> bool {
    digest_of(secret).ct_eq(digest).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_digest() {
        let secret = new_secret().unwrap();
        assert_eq!(secret.len(), 43);
        assert_ne!(secret, new_secret().unwrap());
        assert!(secret_is(&secret, &digest_of(&secret)));
        assert!(!secret_is("", &digest_of(&secret)));
    }
}
