//! What an act's failures are called as a whole.

use model::act::{CopyResult, CopyState};
use model::order::Failure;

use crate::vault::Refusal;

/// The first refusal of the vault, as a number.
#[derive(Debug, Default)]
pub(super) struct Code(Option<i32>);

impl Code {
    pub(super) fn note(&mut self, refusal: &Refusal) {
        self.0.get_or_insert(refusal.code());
    }

    /// Why the act failed, if it did: because of copies, or for other `reasons`.
    pub(super) fn failure(
        &self,
        copies: &[CopyResult],
        reasons: impl IntoIterator<Item = String>,
    ) -> Option<Failure> {
        let failed: Vec<_> = copies.iter().filter(|copy| copy.state == CopyState::Failed).collect();
        let of_copies = failed.first().map(|first| {
            let why = first.reason.as_deref().unwrap_or("no reason was given");
            format!(
                "{} of {} copies failed; first {}: {why}",
                failed.len(),
                copies.len(),
                first.path.display()
            )
        });
        let all: Vec<_> = of_copies.into_iter().chain(reasons).collect();
        let failure = (!all.is_empty()).then(|| Failure::because(all.join("; ")))?;
        Some(Failure { code: self.0.unwrap_or(failure.code), ..failure })
    }
}
