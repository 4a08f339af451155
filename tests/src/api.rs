//! The API as a customer calls it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::wait_for;

/// Base address and token.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    token: String,
    agent: ureq::Agent,
}

/// Status and body of an answer.
pub type Answer = (u16, Value);

/// A client that sees every status as an answer.
pub fn client() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

impl Api {
    /// Gets a token by client credentials.
    ///
    /// # Panics
    /// When there is none to be had.
    pub fn sign_in(ready: &Value) -> Self {
        let field = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        let agent = client();
        let scope = format!("{}/.default", field("baseUrl"));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", ready["clientId"].as_str().unwrap_or_default()),
            ("client_secret", ready["clientSecret"].as_str().unwrap_or_default()),
            ("scope", &scope),
        ];
        let mut answer = agent.post(field("tokenUrl")).send_form(form).expect("the token endpoint answers");
        let body: Value = answer.body_mut().read_json().expect("JSON");
        let token = body["access_token"].as_str().unwrap_or_else(|| panic!("a token: {body}")).to_owned();
        Self { base: field("baseUrl"), token, agent }
    }

    /// GET.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn get(&self, path: &str) -> Answer {
        let request = self.agent.get(format!("{}{path}", self.base));
        let mut answer =
            request.header("Authorization", format!("Bearer {}", self.token)).call().expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_json().unwrap_or(Value::Null))
    }

    /// POST.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("Authorization", format!("Bearer {}", self.token));
        let mut answer = request.send_json(body).expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_json().unwrap_or(Value::Null))
    }

    /// Blocks a file.
    ///
    /// # Panics
    /// When that is refused.
    pub fn block(&self, hash: &str) -> Value {
        let (status, body) = self.post(&format!("/api/files/{hash}/block"), &json!({"Comment": "a test"}));
        assert_eq!(status, 201, "{body}");
        body
    }

    /// Unblocks a file.
    ///
    /// # Panics
    /// When that is refused.
    pub fn unblock(&self, hash: &str) -> Value {
        let (status, body) = self.post(&format!("/api/files/{hash}/unblock"), &json!({"Comment": "a test"}));
        assert_eq!(status, 201, "{body}");
        body
    }

    /// Stops and quarantines a file; the preview's answer.
    ///
    /// # Panics
    /// When that is refused.
    pub fn quarantine(&self, machine: &str, sha1: &str) -> Value {
        let path = format!("/testwdatppreview/machines/{machine}/stopAndQuarantineFile");
        let (status, body) = self.post(&path, &json!({"Comment": "a test", "Sha1": sha1}));
        assert_eq!(status, 201, "{body}");
        body
    }

    /// Waits until the server knows the file.
    ///
    /// # Panics
    /// When it does not in five seconds.
    pub fn wait_known(&self, hash: &str) -> Value {
        wait_for("the file to be known", Duration::from_secs(30), || {
            let (status, body) = self.get(&format!("/api/files/{hash}"));
            (status == 200).then_some(body)
        })
    }

    /// Waits until an order is final.
    ///
    /// # Panics
    /// When it is not in twenty seconds.
    pub fn wait_order(&self, id: &str) -> Value {
        wait_for("the order to end", Duration::from_secs(20), || {
            let (status, body) = self.get(&format!("/api/quell/orders/{id}"));
            let state = body["state"].as_str().unwrap_or_default().to_owned();
            (status == 200 && !["Pending", "InProgress"].contains(&state.as_str())).then_some(body)
        })
    }
}
