//! The contract's first generation, where it differs: `/testwdatppreview`.

pub(super) mod file_actions;
pub(super) mod list;
pub(super) mod quarantine;
pub(super) mod show;
