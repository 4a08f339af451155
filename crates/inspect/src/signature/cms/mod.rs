//! Signed data (PKCS#7, CMS) as it stands in files.
//!
//! Everything borrows from the bytes, so that what is verified is what was signed: nothing is encoded again, no order
//! is mended, and what is not needed may be of any form. Nothing here recurses.

pub(crate) mod algorithm;
pub(crate) mod certificate;
pub(crate) mod moment;
pub(crate) mod name;
pub(crate) mod oid;
pub(crate) mod signed;
pub(crate) mod tlv;
