//! Periodic upkeep of store, samples and lists.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::lists::Lists;
use crate::policing;
use crate::samples::Samples;
use crate::store::{Store, StoreError};

/// How often acts and rules are looked through for those whose time is over.
const EXPIRE_EVERY: Duration = Duration::from_secs(30);
/// How often the database folds its write-ahead log back and refreshes its statistics.
const UPKEEP_EVERY: Duration = Duration::from_secs(600);
/// How often files are looked at that a policy may concern.
const POLICE_EVERY: Duration = Duration::from_secs(1);
/// For so long one chore may look at files while there are more.
const POLICE_FOR: Duration = Duration::from_millis(500);
/// How often what is no sample or list any more is removed from where they are kept.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Does the chores for as long as it is polled. A chore that fails is tried again at its next turn.
pub async fn run(store: Store, samples: Samples, lists: Lists) {
    let mut expire = interval(EXPIRE_EVERY);
    let mut upkeep = interval(UPKEEP_EVERY);
    let mut sweep = interval(SWEEP_EVERY);
    let mut police = interval(POLICE_EVERY);
    expire.set_missed_tick_behavior(MissedTickBehavior::Delay);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    police.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (chore, done) = tokio::select! {
            _ = expire.tick() => ("expire", store.expire().await),
            _ = upkeep.tick() => ("upkeep", store.upkeep().await),
            _ = police.tick() => ("police", look_at_files(&store, &lists).await),
            _ = sweep.tick() => (
                "sweep samples and lists",
                samples.sweep(&store).await.and(lists.sweep(&store).await),
            ),
        };
        if let Err(error) = done {
            tracing::warn!(chore, %error, "a chore failed; it will be tried again");
        }
    }
}

async fn look_at_files(store: &Store, lists: &Lists) -> Result<(), StoreError> {
    let begun = Instant::now();
    while policing::turn(store, lists).await? && begun.elapsed() < POLICE_FOR {}
    Ok(())
}
