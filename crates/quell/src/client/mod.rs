//! The command line as a customer of the API: REST and nothing else.

pub(crate) mod connection;

mod api;
mod fault;

pub(crate) mod comment;
pub(crate) mod confirm;
pub(crate) mod digest;
pub(crate) mod each;
#[cfg(all(feature = "serve", feature = "agent"))]
pub(crate) mod patience;
pub(crate) mod target;
pub(crate) mod wait;

pub(crate) use api::{Answer, Api};
pub(crate) use connection::Connection;

use serde_json::Value;

/// The text under `key`, or a dash where there is none.
pub(crate) fn text(json: &Value, key: &str) -> String {
    match &json[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Array(all) => all
            .iter()
            .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}

/// What a list holds.
pub(crate) fn list(json: &Value) -> &[Value] {
    json["value"].as_array().map_or(&[], Vec::as_slice)
}
