//! The built-in token issuer: who may call the API, said by a signed token of one hour.
//!
//! Tokens are checked by their signature, times and tenant, and by the application still being there; what an
//! application may do stands in its token.

mod cache;
mod claims;
mod first;
mod key;
mod secret;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{Clock, OrganizationId, Time};
use uuid::Uuid;
use wire::rest::Jwk;

use crate::store::{Application, Store, StoreError};
use cache::Cache;
use claims::Claims;
use key::Key;

pub use first::{Credentials, first_application};
pub use secret::{digest_of, new_secret, secret_is};

/// How long a token is good.
pub const LIFE: Duration = Duration::from_secs(3600);
/// By how much the clocks of two nodes may differ.
const LEEWAY: Duration = Duration::from_secs(60);

/// Which of the two token endpoints was asked. They differ in spelling only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// With `resource`.
    V1,
    /// With `scope`.
    V2,
}

/// Whom a valid token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The application's client id.
    pub client: Uuid,
    /// For whom it acts.
    pub organization: OrganizationId,
    /// How its orders are signed: its name and client id.
    pub name: String,
    /// What it may do.
    pub roles: Vec<String>,
    /// The token is good from then,
    pub not_before: Time,
    /// and no longer than until then.
    pub expires: Time,
}

impl Identity {
    fn holds_at(&self, now: Time) -> bool {
        self.not_before <= now.after(LEEWAY) && now < self.expires.after(LEEWAY)
    }
}

/// A token, fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The JWT.
    pub token: String,
    /// It is good from then, in seconds since 1970,
    pub not_before: i64,
    /// until then.
    pub expires: i64,
}

/// Why a token does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not signed by us, or not a token at all.
    #[error("the token is not valid")]
    Invalid,
    /// Its time is over, or has not come.
    #[error("the token is expired or not yet valid")]
    Expired,
    /// The application or its tenant is gone.
    #[error("the token's application is not known here")]
    UnknownApplication,
    /// It could not be found out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// No token key could be had.
#[derive(Debug, thiserror::Error)]
#[error("the token key {path} can't be used: {reason}; mend it, or remove it to have a new one made")]
pub struct KeyError {
    path: std::path::PathBuf,
    reason: String,
}

/// The issuer and judge of tokens.
pub struct Tokens {
    key: Key,
    clock: Arc<dyn Clock>,
    known: Cache,
}

impl Tokens {
    /// With the key in `data_dir`, made now if there is none.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, KeyError> {
        Ok(Self { key: Key::open(data_dir)?, clock, known: Cache::default() })
    }

    /// A token for `application`, good at `audience`; `base` is where we are (scheme and host).
    pub fn issue(&self, application: &Application, audience: &str, dialect: Dialect, base: &str) -> Issued {
        let now = claims::seconds(self.clock.now());
        let claims = Claims::new(application, audience, dialect, base, now);
        Issued { token: self.key.sign(&claims), not_before: claims.nbf, expires: claims.exp }
    }

    /// Whom `token` stands for. Checking a signature takes longer than all the rest of a look-up, so tokens
    /// that were good once are remembered until they end.
    pub async fn verify(&self, token: &str, store: &Store) -> Result<Arc<Identity>, Refused> {
        let now = self.clock.now();
        let identity = match self.known.get(token) {
            Some(identity) => identity,
            None => {
                let identity = Arc::new(self.judge(token, store).await?);
                if identity.holds_at(now) {
                    self.known.put(token, Arc::clone(&identity), now);
                }
                identity
            }
        };
        if identity.holds_at(now) { Ok(identity) } else { Err(Refused::Expired) }
    }

    async fn judge(&self, token: &str, store: &Store) -> Result<Identity, Refused> {
        let claims = self.key.claims_of(token).ok_or(Refused::Invalid)?;
        let organization: OrganizationId = claims.tid.parse().map_err(|_| Refused::Invalid)?;
        let client: Uuid = claims.appid.parse().map_err(|_| Refused::Invalid)?;
        let application = store
            .application(client)
            .await?
            .filter(|application| application.organization == organization)
            .ok_or(Refused::UnknownApplication)?;
        Ok(Identity {
            client,
            organization,
            name: format!("{} ({client})", application.name),
            roles: claims.roles,
            not_before: Time::from_seconds(claims.nbf),
            expires: Time::from_seconds(claims.exp),
        })
    }

    /// The public half of the key, for whoever wants to check tokens himself.
    pub fn public_key(&self) -> Jwk {
        self.key.public()
    }
}

#[cfg(test)]
mod tests;
