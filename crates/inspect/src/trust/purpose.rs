//! What a certificate is used for here.

use crate::signature::cms::oid;

/// What a certificate is used for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To sign code.
    Code,
    /// To say when something was signed.
    Stamp,
    /// To sign Microsoft's list of trusted roots.
    RootList,
}

impl Purpose {
    /// By which certificates name it.
    pub(crate) const fn oid(self) -> &'static [u8] {
        match self {
            Self::Code => oid::CODE_SIGNING,
            Self::Stamp => oid::TIME_STAMPING,
            Self::RootList => oid::ROOT_LIST_SIGNER,
        }
    }
}
