//! One server's API, called with a token that is fetched when it is needed.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;

use crate::exit::Exit;
use crate::failure::Failure;

use super::connection::Access;
use super::fault;

/// How long a call may take in all: none of them waits for a machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// And how long the bytes of a file may.
const LONG: Duration = Duration::from_secs(3600);
/// The greatest answer that is read.
const LIMIT: u64 = 256 << 20;
const UNAUTHORIZED: u16 = 401;

/// One server's API.
pub(crate) struct Api {
    agent: ureq::Agent,
    access: Access,
    token: RefCell<Option<String>>,
}

/// What the API answered.
pub(crate) struct Answer {
    /// As it came.
    pub(crate) body: String,
    /// The same, read.
    pub(crate) json: Value,
}

impl Api {
    pub(super) fn new(mut access: Access) -> Self {
        access.base_url.truncate(access.base_url.trim_end_matches('/').len());
        let agent = ureq::Agent::config_builder()
            // The envelope in the body says more than the number.
            .http_status_as_error(false)
            // A proxy set for browsing the web knows nothing of this host's loopback.
            .proxy(None)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("quell/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self { agent, access, token: RefCell::default() }
    }

    /// A server that takes every secret.
    #[cfg(test)]
    pub(crate) fn of_test(base_url: String) -> Self {
        let (token_url, client_id) = (format!("{base_url}/token"), "client".to_owned());
        Self::new(Access { base_url, token_url, client_id, client_secret: "secret".to_owned() })
    }

    /// Reads what is at `path`, which begins with a slash.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.call(path, |url, token| {
            self.agent.get(url).header("Authorization", format!("Bearer {token}")).call()
        })
    }

    /// Asks for a change.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.call(path, |url, token| {
            self.agent.post(url).header("Authorization", format!("Bearer {token}")).send_json(body)
        })
    }

    /// Puts something in the place of what is at `path`.
    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.call(path, |url, token| {
            self.agent.put(url).header("Authorization", format!("Bearer {token}")).send_json(body)
        })
    }

    /// Takes away what is at `path`.
    pub(crate) fn delete(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.call(path, |url, token| {
            let request = self.agent.delete(url).header("Authorization", format!("Bearer {token}"));
            request.force_send_body().send_json(body)
        })
    }

    /// Brings what `from` holds, as it comes. Sent once: it can't be read again.
    pub(crate) fn upload(
        &self,
        path: &str,
        query: &[(&str, &str)],
        from: &mut impl io::Read,
    ) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.access.base_url);
        let request = self.agent.put(&url).query_pairs(query.iter().copied());
        let request = request
            .header("Authorization", format!("Bearer {}", self.token()?))
            .header("Content-Type", "application/octet-stream")
            // Who may not is told so before the first byte.
            .header("Expect", "100-continue");
        let request = request.config().timeout_global(None).timeout_recv_response(Some(LONG)).build();
        let response = request.send(ureq::SendBody::from_reader(from));
        read(response.map_err(|error| fault::of_transport(&error, &url))?)
    }

    /// Copies what is at `path` to `into`, as it comes. The number of bytes comes back.
    pub(crate) fn download(&self, path: &str, into: &mut impl io::Write) -> Result<u64, Failure> {
        let mut response = self.respond(path, |url, token| {
            let request = self.agent.get(url).header("Authorization", format!("Bearer {token}"));
            request.config().timeout_global(None).timeout_recv_body(Some(LONG)).build().call()
        })?;
        if !response.status().is_success() {
            return Err(match read(response) {
                Err(failure) => failure,
                Ok(_) => Failure::new(Exit::Failed, "the server refused without a reason"),
            });
        }
        io::copy(&mut response.body_mut().as_reader(), into).map_err(|error| {
            Failure::new(Exit::Failed, format!("it did not come whole: {error}")).hint("try again")
        })
    }

    /// The token endpoint's answer for this application.
    pub(crate) fn sign_in(&self) -> Result<Answer, Failure> {
        let Access { base_url, token_url, client_id, client_secret } = &self.access;
        let scope = format!("{base_url}/.default");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret),
            ("scope", &scope),
        ];
        let response = self.agent.post(token_url).send_form(form);
        read(response.map_err(|error| fault::of_transport(&error, token_url))?)
    }

    fn call(
        &self,
        path: &str,
        send: impl Fn(&str, &str) -> Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, Failure> {
        read(self.respond(path, send)?)
    }

    fn respond(
        &self,
        path: &str,
        send: impl Fn(&str, &str) -> Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<Response<ureq::Body>, Failure> {
        let url = format!("{}{path}", self.access.base_url);
        let attempt = |token: &str| send(&url, token).map_err(|error| fault::of_transport(&error, &url));
        let mut response = attempt(&self.token()?)?;
        if response.status().as_u16() == UNAUTHORIZED {
            // A long wait outlives its token.
            self.token.take();
            response = attempt(&self.token()?)?;
        }
        Ok(response)
    }

    /// A bearer token.
    pub(crate) fn token(&self) -> Result<String, Failure> {
        if let Some(token) = &*self.token.borrow() {
            return Ok(token.clone());
        }
        let answer = self.sign_in()?;
        let token = answer.json["access_token"].as_str().ok_or_else(|| {
            Failure::new(Exit::NotPermitted, "the token endpoint answered without an access_token")
                .hint("check the token URL of the profile")
        })?;
        *self.token.borrow_mut() = Some(token.to_owned());
        Ok(token.to_owned())
    }
}

fn read(mut response: Response<ureq::Body>) -> Result<Answer, Failure> {
    let status = response.status();
    let retry_after =
        response.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let body = response.body_mut().with_config().limit(LIMIT).lossy_utf8(true).read_to_string().map_err(
        |error| {
            Failure::new(Exit::Unreachable, format!("the server's answer broke off: {error}"))
                .hint("try again")
        },
    )?;
    if !status.is_success() {
        return Err(fault::of_answer(status.as_u16(), &body, retry_after));
    }
    // An empty body is an answer too.
    let json = serde_json::from_str(if body.is_empty() { "null" } else { &body }).map_err(|error| {
        Failure::new(Exit::Failed, format!("the server's answer is no JSON: {error}"))
            .hint("check that the URL of the profile is Quell's")
    })?;
    Ok(Answer { body, json })
}
