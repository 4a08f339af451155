//! Certificates in a file, as PEM or DER.

use data_encoding::BASE64;

use crate::signature::cms::certificate::Certificate;
use crate::signature::cms::tlv::Reader;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates in a file, each as DER; what can't be read is left out.
pub(crate) fn certificates(file: &[u8]) -> Vec<Vec<u8>> {
    let found = match str::from_utf8(file).ok().filter(|text| text.contains(BEGIN)) {
        Some(text) => {
            text.split(BEGIN).skip(1).filter_map(|block| decoded(block.split_once(END)?.0)).collect()
        }
        None => Reader::new(file).all().map(|one| one.raw.to_vec()).collect::<Vec<_>>(),
    };
    found.into_iter().filter(|der| Certificate::read(der).is_some()).collect()
}

fn decoded(block: &str) -> Option<Vec<u8>> {
    let digits: String = block.chars().filter(|one| !one.is_whitespace()).collect();
    BASE64.decode(digits.as_bytes()).ok()
}
