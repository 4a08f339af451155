//! Whom this installation trusts to sign code.

/// Roots with what each may be used for and until when, and certificates that are disallowed.
#[derive(Clone, Debug, Default)]
pub struct Trust {}
