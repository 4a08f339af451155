//! Periodic upkeep of the store.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::store::Store;

/// How often acts and rules are looked through for those whose time is over.
const EXPIRE_EVERY: Duration = Duration::from_secs(30);
/// How often the database folds its write-ahead log back and refreshes its statistics.
const UPKEEP_EVERY: Duration = Duration::from_secs(600);

/// Does the chores for as long as it is polled. A chore that fails is tried again at its next turn.
pub async fn run(store: Store) {
    let mut expire = interval(EXPIRE_EVERY);
    let mut upkeep = interval(UPKEEP_EVERY);
    expire.set_missed_tick_behavior(MissedTickBehavior::Delay);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (chore, done) = tokio::select! {
            _ = expire.tick() => ("expire", store.expire().await),
            _ = upkeep.tick() => ("upkeep", store.upkeep().await),
        };
        if let Err(error) = done {
            tracing::warn!(chore, %error, "a chore failed; it will be tried again");
        }
    }
}
