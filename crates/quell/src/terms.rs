//! On what terms quarantined copies come back.

/// What a restore is told.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Terms {
    /// Where a copy's name is taken by now, bring it back under a new name beside it
    #[arg(long)]
    beside: bool,
    /// Bring set-user-id and set-group-id bits and file capabilities back too; without it they are dropped
    #[arg(long)]
    keep_privileges: bool,
}

impl From<Terms> for model::act::Terms {
    fn from(terms: Terms) -> Self {
        Self { beside: terms.beside, keep_privileges: terms.keep_privileges }
    }
}
