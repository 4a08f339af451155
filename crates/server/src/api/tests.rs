//! A whole API for tests: a real store in a directory of its own, one machine, a clock that stands still.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use model::act::{CopyResult, CopyState, Outcome};
use model::facts::{Facts, FileType};
use model::inspection::Inspection;
use model::log::Position;
use model::origin::Origin;
use model::sighting::{Seen, Sighting};
use model::spared::{Record, Spared};
use model::{Clock, Digests, MachineId, Md5, OrganizationId, Sha1, Sha256, Time};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::{Edge, Failures, Limits as CallLimits};
use crate::app::App;
use crate::config::RateLimit;
use crate::lists::Lists;
use crate::samples::{Arriving, Limits, Samples};
use crate::sessions::Sessions;
use crate::store::{Application, Attach, AuditRow, Report, Sample, Store};
use crate::tokens::{Dialect, Tokens, digest_of};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The names of the n-th file.
pub(super) fn file(number: u8) -> Digests {
    Digests { sha256: Sha256([number; 32]), sha1: Sha1([number; 20]), md5: Md5([number; 16]) }
}

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

/// The API, its only machine, and an application that may do everything.
pub(super) struct Scene {
    pub(super) organization: OrganizationId,
    pub(super) machine: MachineId,
    pub(super) client: Uuid,
    pub(super) token: String,
    app: Arc<App>,
    edge: Edge,
    clock: Arc<Hands>,
    sequence: AtomicU64,
    dir: TempDir,
}

impl Scene {
    pub(super) async fn new() -> Self {
        Self::limited(RateLimit::Off).await
    }

    pub(super) async fn limited(rate: RateLimit) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hands(AtomicI64::new(1_700_000_000)));
        let store = Store::open(dir.path(), clock.clone()).unwrap();
        let home = store.home("Host1").await.unwrap();
        let hints = store.hints().clone();
        let socket = dir.path().join("link.sock");
        let limits = Limits { quota: 1000, largest: 600 };
        let samples = Samples::open(dir.path(), limits).unwrap();
        let (organization, clock_again) = (home.organization, clock.clone());
        let sessions =
            Sessions::listen(&socket, store.clone(), hints, organization, clock_again, samples.clone())
                .unwrap();
        let app = Arc::new(App {
            store,
            samples,
            lists: Lists::open(dir.path()).unwrap(),
            sessions,
            tokens: Tokens::open(dir.path(), clock.clone()).unwrap(),
            limits: CallLimits::new(rate),
            failures: Failures::default(),
            clock: clock.clone(),
            home,
            public_url: None,
            address: SocketAddr::new(HERE, 8080),
        });
        let mut scene = Self {
            organization: home.organization,
            machine: home.machine,
            client: Uuid::new_v4(),
            token: String::new(),
            edge: Edge::new(&app),
            app,
            clock,
            sequence: AtomicU64::new(0),
            dir,
        };
        let all = [
            "File.Read.All",
            "Ti.ReadWrite",
            "Machine.Read.All",
            "Machine.StopAndQuarantine",
            "Machine.CollectFile",
            "Sample.Read.All",
            "File.ReadWrite.All",
        ];
        scene.token = scene.register(scene.client, &all).await;
        scene.attaches().await;
        scene.reports(&["/"], true).await;
        scene
    }

    /// Seconds go by.
    pub(super) fn later(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    /// A token of a new application with these roles.
    pub(super) async fn token_with(&self, roles: &[&str]) -> String {
        self.register(Uuid::new_v4(), roles).await
    }

    async fn register(&self, client: Uuid, roles: &[&str]) -> String {
        let application = Application {
            client,
            organization: self.organization,
            name: "test".into(),
            secret_sha256: digest_of("secret"),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        self.app.store.put_application(application.clone()).await.unwrap();
        self.app.tokens.issue(&application, "a", Dialect::V2, "http://quell.test").token
    }

    async fn attaches(&self) {
        let hello = Attach {
            organization: self.organization,
            machine: self.machine,
            host_name: "Host1".into(),
            os_platform: "Linux".into(),
            os_version: "Debian 13".into(),
            kernel: "6.12".into(),
            architecture: "x86_64".into(),
            agent_version: "0.1.0".into(),
            addresses: vec!["192.0.2.7".into()],
            position: Position::default(),
        };
        self.app.store.attach(hello).await.unwrap();
    }

    /// The store behind the API.
    pub(super) fn store(&self) -> Store {
        self.app.store.clone()
    }

    /// The machine has adopted all rules of today.
    pub(super) async fn adopts(&self) {
        let (store, none) = (&self.app.store, Position::default());
        let to = store.rules_since(self.organization, self.machine, none).await.unwrap().position();
        store.adopted(self.organization, self.machine, to).await.unwrap();
    }

    /// The machine says what it guards, and whether it has looked everywhere once.
    pub(super) async fn reports(&self, guarded: &[&str], first_sweep_complete: bool) {
        let report = Report {
            guard_level: if guarded.is_empty() { "none" } else { "deny" }.into(),
            guarded: guarded.iter().map(Into::into).collect(),
            first_sweep_complete,
            operator_key: String::new(),
        };
        self.app.store.report(self.organization, self.machine, report).await.unwrap();
    }

    /// The machine sees a copy.
    pub(super) async fn sees(&self, digests: Digests, path: &str) {
        self.sees_of(digests, path, None).await;
    }

    /// The machine sees a copy that a package brought.
    pub(super) async fn sees_of(&self, digests: Digests, path: &str, origin: Option<Origin>) {
        let facts = Facts { size: 100, file_type: FileType::Elf, subtype: Some("Program".into()) };
        let sighting =
            Sighting { digests, facts, path: path.into(), seen: Seen::AtRest, origin, age: Duration::ZERO };
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let store = &self.app.store;
        store.record_sightings(self.organization, self.machine, sequence, vec![sighting]).await.unwrap();
    }

    /// The machine has inspected a file that it has.
    pub(super) async fn inspects(&self, digests: Digests, version: u32, record: Inspection) {
        let store = &self.app.store;
        store.inspected(self.organization, self.machine, digests.sha256, version, record).await.unwrap();
    }

    /// The machine can't do without that copy.
    pub(super) async fn spares(&self, digests: Digests, path: &str, package: &str) {
        let recorded_by = Record::Package(package.to_owned());
        let spared = vec![Spared { path: path.into(), digests, recorded_by }];
        self.app.store.spared(self.organization, self.machine, spared, Vec::new()).await.unwrap();
    }

    /// A copy is seen, and its quarantine ordered.
    pub(super) async fn quarantines(&self, digests: Digests, path: &str) -> Value {
        self.sees(digests, path).await;
        let body = format!(r#"{{"Comment":"c","Sha1":"{}"}}"#, digests.sha1);
        let path = format!("/api/machines/{}/StopAndQuarantineFile", self.machine);
        let answer = self.call("POST", &path, &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    /// The machine does what it was told to.
    pub(super) async fn ends_its_acts(&self) {
        let store = &self.app.store;
        for open in store.acts_for(self.organization, self.machine).await.unwrap() {
            let act = open.act;
            store.act_begun(self.organization, self.machine, act.id).await.unwrap();
            let copy = CopyResult {
                path: "/opt/one".into(),
                state: CopyState::Succeeded,
                reason: None,
                vault: Some(model::VaultId::random()),
            };
            let outcome =
                Outcome { act: act.id, copies: vec![copy], stopped: 0, services: Vec::new(), failure: None };
            store.act_ended(self.organization, self.machine, outcome).await.unwrap();
        }
    }

    /// The machine has sent what it was ordered to.
    pub(super) async fn sends(&self, digests: Digests, bytes: &[u8]) {
        let App { store, samples, .. } = &*self.app;
        for open in store.acts_for(self.organization, self.machine).await.unwrap() {
            let (act, size) = (open.act.id, bytes.len() as u64);
            let offered = (digests, size);
            let limits = samples.limits();
            store.sample_offered(self.organization, self.machine, act, offered, limits).await.unwrap();
            let mut arriving = Arriving::open(samples, self.organization, act, digests, size).unwrap();
            arriving.write(bytes.to_vec()).unwrap();
            let sample = Sample { sha256: digests.sha256, size };
            let noted = store.sample_stored(self.organization, self.machine, act, sample);
            arriving.keep(async { noted.await.map_err(std::io::Error::other) }).await.unwrap();
        }
        self.ends_its_acts().await;
    }

    /// The lines of the audit that are called so.
    pub(super) async fn audited(&self, what: &str) -> Vec<AuditRow> {
        let audit = self.app.store.audit(self.organization, 0, 1000).await.unwrap();
        audit.into_iter().filter(|line| line.what == what).collect()
    }

    /// How many files lie where samples are kept.
    pub(super) fn sample_files(&self) -> usize {
        let files = |dir: std::path::PathBuf| std::fs::read_dir(dir).map_or(0, Iterator::count);
        let samples = self.dir.path().join("samples");
        files(samples.join(self.organization.to_string())) + files(samples.join("coming"))
    }

    /// How many lists there are on the disk, and how many parts of some.
    pub(super) fn list_files(&self) -> (usize, usize) {
        let files = |dir: std::path::PathBuf| std::fs::read_dir(dir).map_or(0, Iterator::count);
        let lists = self.dir.path().join("lists");
        (files(lists.join(self.organization.to_string())), files(lists.join("coming")))
    }

    /// Policies have their way with all files there are.
    pub(super) async fn polices(&self) {
        while crate::policing::turn(&self.app.store, &self.app.lists).await.unwrap() {}
    }

    /// What no list is any more is removed.
    pub(super) async fn sweeps_lists(&self) {
        self.app.lists.sweep(&self.app.store).await.unwrap();
    }

    /// The server starts anew with its database and without the files of its lists.
    pub(super) async fn restarted_without_lists(mut self) -> Self {
        let App { store, samples, .. } = &*self.app;
        let (clock, socket) = (self.clock.clone(), self.dir.path().join("again.sock"));
        std::fs::remove_dir_all(self.dir.path().join("lists")).unwrap();
        let sessions = Sessions::listen(
            &socket,
            store.clone(),
            store.hints().clone(),
            self.organization,
            clock.clone(),
            samples.clone(),
        );
        let app = Arc::new(App {
            store: store.clone(),
            samples: samples.clone(),
            lists: Lists::open(self.dir.path()).unwrap(),
            sessions: sessions.unwrap(),
            tokens: Tokens::open(self.dir.path(), clock.clone()).unwrap(),
            limits: CallLimits::new(RateLimit::Off),
            failures: Failures::default(),
            clock,
            home: self.app.home,
            public_url: None,
            address: self.app.address,
        });
        self.edge = Edge::new(&app);
        self.app = app;
        self
    }

    /// A call with the token that may do everything.
    pub(super) async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call_with(Some(&self.token), method, path, body, &[]).await
    }

    /// A call without a token.
    pub(super) async fn anonymous(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call_with(None, method, path, body, &[]).await
    }

    /// A call whose answer nobody reads yet.
    pub(super) async fn answer(&self, token: Option<&str>, method: &str, path: &str) -> Response {
        self.respond(token, method, path, "", &[]).await
    }

    pub(super) async fn call_with(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let response = self.respond(token, method, path, body, headers).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text, bytes }
    }

    async fn respond(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path).header("Host", "quell.test");
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.edge.answer(request.body(Body::from(body.to_owned())).unwrap(), HERE).await
    }
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
    pub(super) bytes: Vec<u8>,
    headers: HeaderMap,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Refused so, in the envelope.
    pub(super) fn refuses(&self, status: u16, code: &str, message: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        let json = self.json();
        assert_eq!(
            (json["error"]["code"].as_str(), json["error"]["message"].as_str()),
            (Some(code), Some(message))
        );
    }
}
