//! How many calls are allowed: per application, tenant and API, in any minute and in any hour.

mod failures;
mod window;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::{OrganizationId, Time};
use uuid::Uuid;

use crate::config::RateLimit;
pub(crate) use failures::Failures;
use window::Window;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The contract's limits.
const CONTRACT: (u32, u32) = (100, 1500);
/// Ours for `/api/quell`, where consoles and command lines watch.
const OWN: (u32, u32) = (600, 20_000);
/// Beyond so many callers those that are silent are forgotten.
const ROOM: usize = 10_000;

/// From what a call is paid. Both roots of the contract pay for the same API from the same budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Budget {
    /// An API of the contract.
    Contract(&'static str),
    /// One of ours.
    Own(&'static str),
}

/// A call was refused. It did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    /// So many calls are allowed
    pub(super) max: u32,
    /// in such a span.
    pub(super) span: Duration,
    /// There is room again after that.
    pub(super) wait: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Payer {
    client: Uuid,
    organization: OrganizationId,
    budget: Budget,
}

/// The budgets of all callers.
pub(crate) struct Limits {
    rate: RateLimit,
    payers: Mutex<HashMap<Payer, [Window; 2]>>,
}

impl Limits {
    pub(crate) fn new(rate: RateLimit) -> Self {
        Self { rate, payers: Mutex::default() }
    }

    /// Pays for one call.
    pub(super) fn pay(
        &self,
        client: Uuid,
        organization: OrganizationId,
        budget: Budget,
        now: Time,
    ) -> Result<(), Exceeded> {
        let Some((per_minute, per_hour)) = self.allowed(budget) else { return Ok(()) };
        let mut payers = self.payers.lock().unwrap_or_else(PoisonError::into_inner);
        if payers.len() >= ROOM {
            payers.retain(|_, windows| !windows.iter_mut().all(|window| window.is_idle(now)));
        }
        let windows = payers
            .entry(Payer { client, organization, budget })
            .or_insert_with(|| [Window::new(per_minute, MINUTE), Window::new(per_hour, HOUR)]);
        // The longer wait is the one that helps.
        let exceeded = windows
            .iter_mut()
            .filter_map(|window| {
                let wait = window.wait(now)?;
                Some(Exceeded { max: window.max(), span: window.span(), wait })
            })
            .max_by_key(|exceeded| exceeded.wait);
        if let Some(exceeded) = exceeded {
            return Err(exceeded);
        }
        windows.iter_mut().for_each(|window| window.count(now));
        Ok(())
    }

    fn allowed(&self, budget: Budget) -> Option<(u32, u32)> {
        match (self.rate, budget) {
            (RateLimit::Off, _) => None,
            (RateLimit::Default, Budget::Contract(_)) => Some(CONTRACT),
            (RateLimit::Calls { per_minute, per_hour }, Budget::Contract(_)) => Some((per_minute, per_hour)),
            (_, Budget::Own(_)) => Some(OWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: Budget = Budget::Contract("files.show");

    fn pay(limits: &Limits, client: u128, budget: Budget, second: i64) -> Result<(), Exceeded> {
        let organization = OrganizationId(Uuid::nil());
        limits.pay(Uuid::from_u128(client), organization, budget, Time::from_seconds(second))
    }

    #[test]
    fn the_contract_allows_100_a_minute_and_refused_calls_do_not_count() {
        let limits = Limits::new(RateLimit::Default);
        for _ in 0..100 {
            pay(&limits, 1, FILES, 0).unwrap();
        }
        for second in 0..60 {
            let exceeded = pay(&limits, 1, FILES, second).unwrap_err();
            let left = Duration::from_secs(60 - second.unsigned_abs());
            assert_eq!(exceeded, Exceeded { max: 100, span: MINUTE, wait: left });
        }
        for _ in 0..100 {
            pay(&limits, 1, FILES, 60).unwrap();
        }
    }

    #[test]
    fn the_contract_allows_1500_an_hour() {
        let limits = Limits::new(RateLimit::Default);
        for minute in 0..15 {
            for _ in 0..100 {
                pay(&limits, 1, FILES, minute * 60).unwrap();
            }
        }
        let exceeded = pay(&limits, 1, FILES, 15 * 60).unwrap_err();
        assert_eq!(exceeded, Exceeded { max: 1500, span: HOUR, wait: Duration::from_secs(45 * 60) });
        pay(&limits, 1, FILES, 3600).unwrap();
    }

    #[test]
    fn each_application_pays_for_each_api_alone() {
        let limits = Limits::new(RateLimit::Calls { per_minute: 1, per_hour: 2 });
        pay(&limits, 1, FILES, 0).unwrap();
        assert!(pay(&limits, 1, FILES, 0).is_err());
        pay(&limits, 2, FILES, 0).unwrap();
        pay(&limits, 1, Budget::Contract("files.block"), 0).unwrap();
        for _ in 0..OWN.0 {
            pay(&limits, 1, Budget::Own("orders.show"), 0).unwrap();
        }
        assert!(pay(&limits, 1, Budget::Own("orders.show"), 0).is_err());
    }

    #[test]
    fn off_is_off() {
        let limits = Limits::new(RateLimit::Off);
        for _ in 0..5000 {
            pay(&limits, 1, FILES, 0).unwrap();
            pay(&limits, 1, Budget::Own("orders.show"), 0).unwrap();
        }
    }
}
