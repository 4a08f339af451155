//! The signature behind a kernel module. It is read, not verified: whether the kernel trusts the key is the kernel's
//! word.

use std::io;

use model::inspection::ModuleSignature;

use super::der;
use super::reading::Reading;

const MAGIC: &[u8] = b"~Module signature appended~\n";
/// `struct module_signature`: what stands before the magic.
const HEAD: u64 = 12;
const PKCS7: u8 = 2;
/// No more of a signature is read; real ones have less than 2 KiB.
const LONGEST: u64 = 64 << 10;
/// Digests by their numbers in the old form.
const DIGESTS: [&str; 8] = ["md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224"];

/// None where none is appended.
pub(super) fn read(reading: &Reading<'_>) -> io::Result<Option<ModuleSignature>> {
    let Some(at) = reading.size().checked_sub(MAGIC.len() as u64) else { return Ok(None) };
    if reading.piece(at, MAGIC.len() as u64, MAGIC.len())? != MAGIC {
        return Ok(None);
    }
    let found = whole(reading, at)?;
    if found.is_none() {
        reading.malformed("its appended signature can't be read");
    }
    Ok(Some(found.unwrap_or_default()))
}

fn whole(reading: &Reading<'_>, end: u64) -> io::Result<Option<ModuleSignature>> {
    let Some(at) = end.checked_sub(HEAD) else { return Ok(None) };
    let head = reading.piece(at, HEAD, HEAD as usize)?;
    let Ok([_, hash, id_type, signer_length, key_length, _, _, _, length @ ..]) = <[u8; 12]>::try_from(head)
    else {
        return Ok(None);
    };
    let length = u64::from(u32::from_be_bytes(length));
    let Some(signature) = at.checked_sub(length).filter(|_| length <= LONGEST) else { return Ok(None) };
    if id_type == PKCS7 {
        let bytes = reading.piece(signature, length, LONGEST as usize)?;
        return Ok(der::signer(&bytes));
    }
    let (signer_length, key_length) = (u64::from(signer_length), u64::from(key_length));
    let Some(signer) = signature.checked_sub(signer_length + key_length) else { return Ok(None) };
    let name = reading.piece(signer, signer_length, 255)?;
    Ok(Some(ModuleSignature {
        signer: Some(String::from_utf8_lossy(&name).into_owned()).filter(|name| !name.is_empty()),
        key_id: reading.piece(signer + signer_length, key_length, 64)?,
        digest: DIGESTS.get(usize::from(hash)).map(|digest| (*digest).to_owned()),
    }))
}
