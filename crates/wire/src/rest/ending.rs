//! Our own words beside the contract's status: why it is not plain success.

use model::order::Order;
use serde::Serialize;

/// What the contract has no key for. Left out where there is nothing to say.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ending {
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// It did not succeed, and some of it is done all the same.
    #[serde(skip_serializing_if = "is_false")]
    partly_done: bool,
    /// What the machine told after the order had ended otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<&'static str>,
}

impl Ending {
    /// None while there is nothing to say.
    pub(super) fn of(order: &Order) -> Option<Self> {
        let ending = Self {
            failure: order.failure.as_ref().map(|failure| failure.reason.clone()),
            partly_done: order.is_partly_done(),
            late: order.late.as_ref().map(|late| late.state.word()),
        };
        (ending.failure.is_some() || ending.partly_done || ending.late.is_some()).then_some(ending)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::super::order::tests::quarantine;
    use super::*;
    use model::act::CopyState;
    use model::order::{Failure, State};

    #[test]
    fn what_is_done_in_part_says_so_and_plain_success_says_nothing() {
        let mut order = quarantine();
        assert!(Ending::of(&order).is_none());
        order.state = State::Failed;
        order.failure = Some(Failure::because("1 of 2 copies failed"));
        order.copies[0].state = CopyState::Succeeded;
        let json = serde_json::to_value(Ending::of(&order)).unwrap();
        assert_eq!(json, serde_json::json!({"failure": "1 of 2 copies failed", "partlyDone": true}));
    }
}
