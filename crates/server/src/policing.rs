//! Blocks that follow from what files are judged to be, where somebody wants that.
//!
//! Files are looked at in small portions, and what follows from a portion is one short transaction: orders of people do
//! not wait for it.

use std::io;

use model::OrganizationId;
use model::determination::{DeterminationType, decide};

use crate::lists::Lists;
use crate::store::{KnownList, Look, Looked, PolicyLook, Store, StoreError};

/// So many files are looked at in one turn,
const MOST: u32 = 500;
/// and so many of them in one transaction.
const AT_ONCE: usize = 20;

/// One turn. Whether there may be more to look at comes back.
pub(crate) async fn turn(store: &Store, lists: &Lists) -> Result<bool, StoreError> {
    let mut more = false;
    for PolicyLook { organization, changes, lists: known, files } in store.policy_looks(MOST)? {
        let may_be_more = files.len() == MOST as usize || files.iter().any(|file| file.token.is_some());
        let mut looked = Vec::with_capacity(files.len());
        for file in files {
            match judged(lists, organization, &known, file) {
                Ok(judged) => looked.push(judged),
                Err(error) => {
                    // What is not found on it would look clean, and would be let go.
                    tracing::error!(%organization, %error, "a list can't be read: the policy waits for it");
                    looked.clear();
                    break;
                }
            }
            // Nothing else on this thread waits for all of them.
            tokio::task::yield_now().await;
        }
        more |= !looked.is_empty() && may_be_more;
        for (portion, some) in looked.chunks(AT_ONCE).enumerate() {
            if !store.policy_follows(organization, changes, some.to_vec()).await? {
                if portion > 0 {
                    tracing::warn!(%organization, "the policy rests: it has made its blocks of this hour");
                }
                more = false;
                break;
            }
        }
    }
    Ok(more)
}

/// What a file is judged to be.
fn judged(
    lists: &Lists,
    organization: OrganizationId,
    known: &[KnownList],
    file: Look,
) -> io::Result<Looked> {
    let mut words = file.judged.words;
    for list in known {
        words.extend(lists.word(organization, &file.judged.names, list)?);
    }
    let kind = decide(&words).map_or(DeterminationType::Unknown, |word| word.kind);
    Ok(Looked { file: file.file, token: file.token, digests: file.digests, kind })
}
