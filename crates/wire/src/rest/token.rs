//! What the token endpoint and its documents answer.

use serde::Serialize;

/// A token, in the dialect with `scope`: numbers are numbers.
#[derive(Clone, Debug, Serialize)]
pub struct TokenV2 {
    token_type: &'static str,
    expires_in: u64,
    ext_expires_in: u64,
    access_token: String,
}

impl TokenV2 {
    /// A token that lives for so many seconds.
    pub const fn new(access_token: String, expires_in: u64) -> Self {
        Self { token_type: "Bearer", expires_in, ext_expires_in: expires_in, access_token }
    }
}

/// A token, in the dialect with `resource`: numbers are texts.
#[derive(Clone, Debug, Serialize)]
pub struct TokenV1 {
    token_type: &'static str,
    expires_in: String,
    ext_expires_in: String,
    expires_on: String,
    not_before: String,
    resource: String,
    access_token: String,
}

impl TokenV1 {
    /// A token for `resource`, good from one moment to the other, in seconds since 1970.
    pub fn new(access_token: String, resource: String, not_before: i64, expires_on: i64) -> Self {
        let expires_in = expires_on.saturating_sub(not_before);
        Self {
            token_type: "Bearer",
            expires_in: expires_in.to_string(),
            ext_expires_in: expires_in.to_string(),
            expires_on: expires_on.to_string(),
            not_before: not_before.to_string(),
            resource,
            access_token,
        }
    }
}

/// A refusal of the token endpoint. Unlike the API's envelope, `error` is a word.
#[derive(Clone, Debug, Serialize)]
pub struct TokenError<'a> {
    /// One of RFC 6749's words.
    pub error: &'a str,
    /// For people.
    pub error_description: &'a str,
    /// The id under which the call stands in the log.
    pub correlation_id: &'a str,
}

/// The discovery document.
#[derive(Clone, Debug, Serialize)]
pub struct OpenIdConfiguration {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: [&'static str; 2],
    response_types_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 1],
}

impl OpenIdConfiguration {
    /// For `tenant` at `base` (scheme and host).
    pub fn new(base: &str, tenant: &str) -> Self {
        Self {
            issuer: format!("{base}/{tenant}/v2.0"),
            // Required of the document; no browser flow is served there.
            authorization_endpoint: format!("{base}/{tenant}/oauth2/v2.0/authorize"),
            token_endpoint: format!("{base}/{tenant}/oauth2/v2.0/token"),
            jwks_uri: format!("{base}/{tenant}/discovery/v2.0/keys"),
            token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic"],
            response_types_supported: ["token"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: ["ES256"],
            grant_types_supported: ["client_credentials"],
        }
    }
}

/// The keys by which tokens can be checked.
#[derive(Clone, Debug, Serialize)]
pub struct Jwks {
    keys: [Jwk; 1],
}

impl Jwks {
    /// One key.
    pub const fn of(key: Jwk) -> Self {
        Self { keys: [key] }
    }
}

/// The public half of a P-256 key.
#[derive(Clone, Debug, Serialize)]
pub struct Jwk {
    kty: &'static str,
    r#use: &'static str,
    alg: &'static str,
    kid: String,
    crv: &'static str,
    x: String,
    y: String,
}

impl Jwk {
    /// The point's coordinates in base64url.
    pub const fn p256(kid: String, x: String, y: String) -> Self {
        Self { kty: "EC", r#use: "sig", alg: "ES256", kid, crv: "P-256", x, y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dialect_quotes_its_numbers() {
        insta::assert_snapshot!(
            serde_json::to_string(&TokenV2::new("t".into(), 3600)).unwrap(),
            @r#"{"token_type":"Bearer","expires_in":3600,"ext_expires_in":3600,"access_token":"t"}"#
        );
        insta::assert_snapshot!(
            serde_json::to_string_pretty(&TokenV1::new("t".into(), "https://r".into(), 100, 3700)).unwrap(),
            @r#"
        {
          "token_type": "Bearer",
          "expires_in": "3600",
          "ext_expires_in": "3600",
          "expires_on": "3700",
          "not_before": "100",
          "resource": "https://r",
          "access_token": "t"
        }
        "#);
    }

    #[test]
    fn discovery_keeps_to_one_host() {
        let json = serde_json::to_value(OpenIdConfiguration::new("https://h", "t")).unwrap();
        for key in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert!(json[key].as_str().unwrap().starts_with("https://h/t/"), "{key}");
        }
    }

    #[test]
    fn a_key_is_described_as_clients_expect() {
        insta::assert_snapshot!(
            serde_json::to_string(&Jwks::of(Jwk::p256("k".into(), "x".into(), "y".into()))).unwrap(),
            @r#"{"keys":[{"kty":"EC","use":"sig","alg":"ES256","kid":"k","crv":"P-256","x":"x","y":"y"}]}"#
        );
    }
}
