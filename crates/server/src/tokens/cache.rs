//! Tokens that were good once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use model::Time;
use sha2::{Digest, Sha256};

use super::Identity;

/// So many tokens are remembered; a client needs one an hour.
const ROOM: usize = 10_000;

/// Digest of a token → whom it stands for. The tokens themselves are not kept.
#[derive(Default)]
pub(super) struct Cache(RwLock<HashMap<[u8; 32], Arc<Identity>>>);

impl Cache {
    pub(super) fn get(&self, token: &str) -> Option<Arc<Identity>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key(token)).cloned()
    }

    pub(super) fn put(&self, token: &str, identity: Arc<Identity>, now: Time) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ROOM {
            known.retain(|_, identity| identity.holds_at(now));
        }
        if known.len() >= ROOM {
            known.clear();
        }
        known.insert(key(token), identity);
    }
}

fn key(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::OrganizationId;
    use uuid::Uuid;

    fn until(expires: i64) -> Arc<Identity> {
        Arc::new(Identity {
            client: Uuid::nil(),
            organization: OrganizationId(Uuid::nil()),
            name: String::new(),
            roles: Vec::new(),
            not_before: Time::from_seconds(0),
            expires: Time::from_seconds(expires),
        })
    }

    #[test]
    fn it_never_outgrows_its_room_and_drops_ended_tokens_first() {
        let cache = Cache::default();
        let now = Time::from_seconds(10_000);
        for number in 0..ROOM - 1 {
            cache.put(&number.to_string(), until(1), now);
        }
        cache.put("living", until(20_000), now);
        cache.put("one more", until(20_000), now);
        assert!(cache.get("living").is_some());
        assert!(cache.get("0").is_none());
        assert_eq!(cache.0.read().unwrap().len(), 2);
    }
}
