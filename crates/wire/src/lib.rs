//! How things look outside the process.
//!
//! [`rest`] is the compatible JSON, [`link`] the protobuf of link, guard socket and disk records, [`lists`] the forms in
//! which others publish digests. Shapes come
//! in by `TryFrom` and go out by `From`, each written by hand, so that a change of the model never changes a
//! promise to strangers by accident.

#![forbid(unsafe_code)]

pub mod link;
pub mod lists;
pub mod rest;
