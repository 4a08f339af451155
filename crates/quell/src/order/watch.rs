//! `quell order watch`: each change of an order, until nothing more will happen.

use std::time::Duration;

use model::OrderId;

use crate::client::{Api, wait};
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

use super::follow::changes;

pub(super) fn run(api: &Api, format: Format, order: OrderId, timeout: Option<u64>) -> Result<(), Failure> {
    let mut told = Vec::new();
    let limit = timeout.map(Duration::from_secs);
    let ended = wait::until_final(api, &order.to_string(), limit, |answer| match format {
        Format::Json => say::out(&answer.body),
        Format::Table => changes(&answer.json, &mut told).iter().for_each(say::out),
    })?;
    wait::verdict(&ended.json)
}
