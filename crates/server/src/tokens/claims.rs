//! What a token says.

use model::Time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Dialect, LIFE};
use crate::store::Application;

/// The claims of a token, by the names that clients of the contract know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    pub(super) tid: String,
    pub(super) appid: String,
    azp: String,
    sub: String,
    pub(super) roles: Vec<String>,
    iat: i64,
    pub(super) nbf: i64,
    pub(super) exp: i64,
    jti: String,
    ver: String,
}

impl Claims {
    pub(super) fn new(
        application: &Application,
        audience: &str,
        dialect: Dialect,
        base: &str,
        now: i64,
    ) -> Self {
        let tid = application.organization.to_string();
        let client = application.client.to_string();
        let (iss, ver) = match dialect {
            Dialect::V1 => (format!("{base}/{tid}/"), "1.0"),
            Dialect::V2 => (format!("{base}/{tid}/v2.0"), "2.0"),
        };
        Self {
            iss,
            aud: audience.to_owned(),
            tid,
            appid: client.clone(),
            azp: client.clone(),
            sub: client,
            roles: application.roles.clone(),
            iat: now,
            nbf: now,
            exp: now.saturating_add(LIFE.as_secs() as i64),
            jti: Uuid::new_v4().to_string(),
            ver: ver.to_owned(),
        }
    }
}

/// A moment as tokens count it.
pub(super) const fn seconds(time: Time) -> i64 {
    (time.nanoseconds() / 1_000_000_000) as i64
}
