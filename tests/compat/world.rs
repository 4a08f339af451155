//! A running `up` that watches and guards a filesystem of the test's own, and what calls it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use tempfile::TempDir;
use tests::filesystem::Filesystem;
use tests::sample::Sample;
use tests::up::{Options, Up, options};
use tests::{is_private, wait_for};

use crate::http::{Answer, Request};

/// No machine has ever seen it.
pub(crate) const UNSEEN: &str = "7327b54fd718525cbca07dacde913b5ac3c85673";

/// A deployment of one machine.
pub(crate) struct World {
    pub(crate) up: Up,
    pub(crate) token: String,
    /// Host and port.
    pub(crate) address: String,
    filesystem: Filesystem,
    _dir: TempDir,
}

impl World {
    /// None, and a word about it, where no filesystem may be mounted. Without rate limits.
    pub(crate) fn start() -> Option<Self> {
        Self::limited("off")
    }

    /// With these rate limits.
    pub(crate) fn limited(rate_limit: &'static str) -> Option<Self> {
        Self::with(|options| Options { rate_limit, ..options })
    }

    /// Otherwise than usual.
    pub(crate) fn with(change: impl FnOnce(Options) -> Options) -> Option<Self> {
        if !is_private() {
            return None;
        }
        let filesystem = Filesystem::tmpfs();
        let dir = tempfile::tempdir().expect("a directory");
        let up = Up::start(&change(options(dir.path(), filesystem.root())));
        let address = up.field("baseUrl").strip_prefix("http://").expect("plain HTTP").to_owned();
        let mut world = Self { up, token: String::new(), address, filesystem, _dir: dir };
        let answer = world.asks_token("POST", "oauth2/v2.0/token", &world.form(""), &[]);
        world.token = answer.is(200)["access_token"].as_str().expect("a token").to_owned();
        Some(world)
    }

    pub(crate) fn machine(&self) -> &str {
        self.up.field("machineId")
    }

    /// The guarded filesystem.
    pub(crate) fn root(&self) -> &Path {
        self.filesystem.root()
    }

    /// With the token.
    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, path).bearer(&self.token)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send(&self.address)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        let request = self.request("POST", path).header("Content-Type", "application/json");
        request.body(body).send(&self.address)
    }

    /// The form that asks for a token, and what else is to be in it.
    pub(crate) fn form(&self, rest: &str) -> String {
        let [id, secret] = ["clientId", "clientSecret"].map(|name| self.up.field(name));
        format!("client_id={id}&client_secret={secret}&grant_type=client_credentials&{rest}")
    }

    pub(crate) fn asks_token(
        &self,
        method: &str,
        dialect: &str,
        form: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let path = format!("/{}/{dialect}", self.up.field("tenantId"));
        let request = headers
            .iter()
            .fold(Request::new(method, &path), |request, (name, value)| request.header(name, value));
        request.body(form).send(&self.address)
    }

    /// A sample at these names of the guarded filesystem, which the server knows of.
    pub(crate) fn known_sample(&self, names: &[&str]) -> Sample {
        let sample = Sample::fresh();
        self.puts(&sample, names);
        sample
    }

    /// A sample so large that nobody has looked through it before a second request is there.
    pub(crate) fn large_sample(&self, name: &str) -> Sample {
        let mut sample = Sample::fresh();
        sample.bytes.resize(24 << 20, 7);
        let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        sample.sha1 = hex(&Sha1::digest(&sample.bytes));
        sample.sha256 = hex(&Sha256::digest(&sample.bytes));
        self.puts(&sample, &[name]);
        sample
    }

    /// Puts the sample at these names, and waits until the server knows each.
    pub(crate) fn puts(&self, sample: &Sample, names: &[&str]) {
        for name in names {
            sample.put(&self.root().join(name));
        }
        let path = format!("/api/quell/files/{}/copies", sample.sha256);
        wait_for("the copies to be known", Duration::from_secs(10), || {
            let copies = self.get(&path).json();
            (copies["value"].as_array()?.len() == names.len()).then_some(())
        });
    }

    /// Asks at `path` until its status is final.
    pub(crate) fn wait_status(&self, path: &str) -> Value {
        wait_for("the action to end", Duration::from_secs(20), || {
            let action = self.get(path).is(200);
            let status = action["status"].as_str().expect("a status").to_owned();
            (!["Pending", "InProgress"].contains(&status.as_str())).then_some(action)
        })
    }
}
