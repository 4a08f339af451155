//! Tokens judged by time, signature, tenant and application.

use std::sync::atomic::{AtomicI64, Ordering};

use data_encoding::BASE64URL_NOPAD;
use tempfile::TempDir;

use super::*;

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

struct Scene {
    dir: TempDir,
    clock: Arc<Hands>,
    store: Store,
    tokens: Tokens,
    application: Application,
}

const START: i64 = 1_700_000_000;

async fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hands(AtomicI64::new(START)));
    let store = Store::open(dir.path(), clock.clone()).unwrap();
    let home = store.home("host1").await.unwrap();
    let application = Application {
        client: Uuid::new_v4(),
        organization: home.organization,
        name: "playbook".into(),
        secret_sha256: digest_of("secret"),
        roles: vec!["File.Read.All".into()],
    };
    store.put_application(application.clone()).await.unwrap();
    let tokens = Tokens::open(dir.path(), clock.clone()).unwrap();
    Scene { dir, clock, store, tokens, application }
}

impl Scene {
    fn issue(&self) -> String {
        self.tokens.issue(&self.application, "https://a", Dialect::V2, "http://h").token
    }

    async fn verify(&self, token: &str) -> Result<Arc<Identity>, Refused> {
        self.tokens.verify(token, &self.store).await
    }

    fn at(&self, seconds_later: i64) {
        self.clock.0.store(START + seconds_later, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_token_says_who_and_what() {
    let scene = scene().await;
    let identity = scene.verify(&scene.issue()).await.unwrap();
    assert_eq!(identity.client, scene.application.client);
    assert_eq!(identity.organization, scene.application.organization);
    assert_eq!(identity.name, format!("playbook ({})", scene.application.client));
    assert_eq!(identity.roles, ["File.Read.All"]);
}

#[tokio::test]
async fn a_token_is_good_for_an_hour_and_the_leeway() {
    let scene = scene().await;
    let (seen, unseen) = (scene.issue(), scene.issue());
    scene.verify(&seen).await.unwrap();
    scene.at(3659);
    scene.verify(&seen).await.unwrap();
    scene.at(3660);
    for token in [&seen, &unseen] {
        assert_eq!(scene.verify(token).await.unwrap_err(), Refused::Expired);
    }
    scene.at(-61);
    for token in [&seen, &unseen] {
        assert_eq!(scene.verify(token).await.unwrap_err(), Refused::Expired);
    }
    scene.at(-60);
    scene.verify(&unseen).await.unwrap();
}

#[tokio::test]
async fn a_token_outlives_a_restart() {
    let scene = scene().await;
    let token = scene.issue();
    let restarted = Tokens::open(scene.dir.path(), scene.clock.clone()).unwrap();
    restarted.verify(&token, &scene.store).await.unwrap();
}

#[tokio::test]
async fn what_we_did_not_sign_is_refused() {
    let scene = scene().await;
    let token = scene.issue();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let wider = BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap();
    let wider = String::from_utf8(wider).unwrap().replace("File.Read.All", "Ti.ReadWrite.All");
    let wider = BASE64URL_NOPAD.encode(wider.as_bytes());
    let none = BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"JWT"}"#);
    let elsewhere = Tokens::open(tempfile::tempdir().unwrap().path(), scene.clock.clone()).unwrap();
    let forgeries = [
        String::new(),
        "a.b.c".to_owned(),
        format!("{header}.{wider}.{signature}"),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        elsewhere.issue(&scene.application, "a", Dialect::V1, "http://h").token,
    ];
    for forgery in &forgeries {
        assert_eq!(scene.verify(forgery).await.unwrap_err(), Refused::Invalid, "{forgery}");
    }
}

#[tokio::test]
async fn the_tenant_must_be_the_applications() {
    let scene = scene().await;
    let stranger = Application { organization: OrganizationId::random(), ..scene.application.clone() };
    let token = scene.tokens.issue(&stranger, "a", Dialect::V2, "http://h").token;
    assert_eq!(scene.verify(&token).await.unwrap_err(), Refused::UnknownApplication);
    let unknown = Application { client: Uuid::new_v4(), ..scene.application.clone() };
    let token = scene.tokens.issue(&unknown, "a", Dialect::V2, "http://h").token;
    assert_eq!(scene.verify(&token).await.unwrap_err(), Refused::UnknownApplication);
}
