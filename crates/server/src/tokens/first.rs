//! The first application, made so that a new deployment can be used at once.

use std::fmt;

use model::OrganizationId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{digest_of, new_secret, secret_is};
use crate::store::{Application, Store};

const NAME: &str = "quell up";
const ROLES: [&str; 10] = [
    "File.Read.All",
    "File.ReadWrite.All",
    "Ti.ReadWrite",
    "Ti.ReadWrite.All",
    "Machine.Read.All",
    "Machine.ReadWrite.All",
    "Machine.StopAndQuarantine",
    "Machine.CollectFile",
    "Sample.Read.All",
    "Alert.Read.All",
];

/// What an application shows to have a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Its name at the token endpoint.
    pub client_id: Uuid,
    /// Only its owner has it: here only while the owner has yet to keep it.
    pub client_secret: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Makes it, or finds it again. Its client id follows from the organization, so it never changes; its secret
/// does when `known_secret` is not the stored one, as nobody could use it otherwise.
pub async fn first_application(
    store: &Store,
    organization: OrganizationId,
    known_secret: Option<String>,
) -> anyhow::Result<Credentials> {
    let client = client_of(organization);
    let stored = store.application(client).await?;
    let known = known_secret
        .filter(|secret| stored.as_ref().is_some_and(|stored| secret_is(secret, &stored.secret_sha256)));
    let client_secret = match known {
        Some(secret) => secret,
        None => new_secret()?,
    };
    let application = Application {
        client,
        organization,
        name: NAME.to_owned(),
        secret_sha256: digest_of(&client_secret),
        roles: ROLES.map(str::to_owned).to_vec(),
    };
    if stored.as_ref() != Some(&application) {
        store.put_application(application).await?;
    }
    Ok(Credentials { client_id: client, client_secret })
}

fn client_of(organization: OrganizationId) -> Uuid {
    let digest = Sha256::new().chain_update(organization.0).chain_update(NAME).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use std::sync::Arc;

    #[tokio::test]
    async fn the_id_stays_and_the_secret_stays_while_its_owner_knows_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Arc::new(SystemClock)).unwrap();
        let organization = store.home("host1").await.unwrap().organization;
        let ensure =
            |secret: Option<&str>| first_application(&store, organization, secret.map(str::to_owned));
        let first = ensure(None).await.unwrap();
        assert_eq!(ensure(Some(&first.client_secret)).await.unwrap(), first);
        for lost in [None, Some(""), Some("another")] {
            let next = ensure(lost).await.unwrap();
            assert_eq!(next.client_id, first.client_id);
            assert_ne!(next.client_secret, first.client_secret);
        }
        assert!(!format!("{first:?}").contains(&first.client_secret));
    }
}
