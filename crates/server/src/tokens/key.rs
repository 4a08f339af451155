//! The signing key: ES256, made at first start, kept in the data directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use sha2::{Digest, Sha256};
use wire::rest::Jwk;

use super::KeyError;
use super::claims::Claims;

const FILE: &str = "token-key.pem";

pub(super) struct Key {
    header: Header,
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    public: Jwk,
}

impl Key {
    pub(super) fn open(data_dir: &Path) -> Result<Self, KeyError> {
        let path = data_dir.join(FILE);
        let failed = |reason: String| KeyError { path: path.clone(), reason };
        let secret = match fs::read_to_string(&path) {
            Ok(pem) => SecretKey::from_pkcs8_pem(&pem).map_err(|error| failed(error.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = random().map_err(|error| failed(error.to_string()))?;
                let pem = secret.to_pkcs8_pem(LineEnding::LF).map_err(|error| failed(error.to_string()))?;
                keep(data_dir, pem.as_bytes()).map_err(|error| failed(error.to_string()))?;
                secret
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        Self::of(&secret).map_err(failed)
    }

    fn of(secret: &SecretKey) -> Result<Self, String> {
        let document = secret.to_pkcs8_der().map_err(|error| error.to_string())?;
        let point = secret.public_key().to_encoded_point(false);
        let coordinate = |bytes: Option<&p256::FieldBytes>| {
            bytes.map(|bytes| BASE64URL_NOPAD.encode(bytes)).ok_or("the key has no public half")
        };
        let (x, y) = (coordinate(point.x())?, coordinate(point.y())?);
        let checking = DecodingKey::from_ec_components(&x, &y).map_err(|error| error.to_string())?;
        let kid = HEXLOWER.encode(&Sha256::digest(point.as_bytes())[..16]);
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.clone());
        let mut validation = Validation::new(Algorithm::ES256);
        // The library would ask the wall clock; times are judged by our own. Clients disagree on the audience,
        // and a signature by this key is ours whatever host name the issuer was called by.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let signing = EncodingKey::from_ec_der(document.as_bytes());
        let key = Self { header, signing, checking, validation, public: Jwk::p256(kid, x, y) };
        // So that signing needs no error path later on.
        jsonwebtoken::encode(&key.header, &(), &key.signing).map_err(|error| error.to_string())?;
        Ok(key)
    }

    pub(super) fn sign(&self, claims: &Claims) -> String {
        jsonwebtoken::encode(&self.header, claims, &self.signing)
            .expect("the key has signed before, and claims are plain JSON")
    }

    pub(super) fn claims_of(&self, token: &str) -> Option<Claims> {
        jsonwebtoken::decode(token, &self.checking, &self.validation).ok().map(|data| data.claims)
    }

    pub(super) fn public(&self) -> Jwk {
        self.public.clone()
    }
}

fn random() -> io::Result<SecretKey> {
    loop {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        // Zero and what lies beyond the curve's order are no keys: one in 2^32 draws.
        if let Ok(secret) = SecretKey::from_slice(&bytes) {
            return Ok(secret);
        }
    }
}

/// Whole or not at all, and readable by nobody else at any moment.
fn keep(data_dir: &Path, pem: &[u8]) -> io::Result<()> {
    let unfinished = data_dir.join("token-key.pem.new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(pem)?;
    file.sync_all()?;
    fs::rename(&unfinished, data_dir.join(FILE))?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("token-key.pem.new"), "a start that was cut off").unwrap();
        let first = Key::open(dir.path()).unwrap();
        let again = Key::open(dir.path()).unwrap();
        assert_eq!(first.header.kid, again.header.kid);
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!dir.path().join("token-key.pem.new").exists());
    }

    #[test]
    fn a_damaged_key_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "no key").unwrap();
        let error = Key::open(dir.path()).err().unwrap().to_string();
        assert!(error.contains("token-key.pem"), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), "no key");
    }
}
