//! Both dialects, as clients really speak them.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::Value;

use crate::api::tests::{Answer, Scene};

fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

impl Scene {
    fn form(&self, rest: &str) -> String {
        format!("client_id={}&client_secret=secret&grant_type=client_credentials&{rest}", self.client)
    }

    async fn asks(&self, method: &str, dialect: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        let path = format!("/{}/{dialect}", self.organization);
        self.call_with(None, method, &path, form, headers).await
    }
}

const V1: &str = "oauth2/token";
const V2: &str = "oauth2/v2.0/token";

#[tokio::test]
async fn the_dialect_with_scope_has_numbers() {
    let scene = Scene::new().await;
    let form = scene.form("scope=https%3A%2F%2Fapi.security.microsoft.com%2F.default&client_info=1");
    let answer = scene.asks("POST", V2, &form, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let json = answer.json();
    assert_eq!((&json["token_type"], &json["expires_in"]), (&"Bearer".into(), &3600.into()));
    let claims = claims(&json["access_token"]);
    assert_eq!(claims["aud"], "https://api.security.microsoft.com");
    assert_eq!(claims["tid"], scene.organization.to_string());
    assert_eq!(claims["iss"], format!("http://quell.test/{}/v2.0", scene.organization));
    assert_eq!(claims["ver"], "2.0");
    for claim in ["appid", "azp", "sub"] {
        assert_eq!(claims[claim], scene.client.to_string());
    }
    assert!(claims["roles"].as_array().unwrap().contains(&"File.Read.All".into()));
    let token = json["access_token"].as_str().unwrap();
    let listed = scene.call_with(Some(token), "GET", "/api/machines", "", &[]).await;
    assert_eq!(listed.status, 200);
}

#[tokio::test]
async fn the_dialect_with_resource_quotes_its_numbers_and_takes_a_get_with_a_body() {
    let scene = Scene::new().await;
    let form = scene.form("resource=https://api.securitycenter.windows.com");
    for method in ["POST", "GET"] {
        let answer = scene.asks(method, V1, &form, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let json = answer.json();
        assert_eq!(json["expires_in"], "3600");
        assert_eq!(json["resource"], "https://api.securitycenter.windows.com");
        assert!(json["expires_on"].is_string() && json["not_before"].is_string());
        assert_eq!(claims(&json["access_token"])["ver"], "1.0");
    }
}

#[tokio::test]
async fn the_label_of_the_body_does_not_matter() {
    let scene = Scene::new().await;
    for label in ["application/x-www-form-urlencoded", "text/plain", "application/json"] {
        let answer = scene.asks("POST", V2, &scene.form(""), &[("Content-Type", label)]).await;
        assert_eq!(answer.status, 200, "{label}");
    }
}

#[tokio::test]
async fn a_basic_header_does_as_well() {
    let scene = Scene::new().await;
    let header =
        |secret: &str| format!("Basic {}", BASE64.encode(format!("{}:{secret}", scene.client).as_bytes()));
    let form = "grant_type=client_credentials";
    let answer = scene.asks("POST", V2, form, &[("Authorization", &header("secret"))]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = scene.asks("POST", V2, form, &[("Authorization", &header("wrong"))]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"quell\""));
}

#[tokio::test]
async fn refusals_have_the_shape_of_the_rfc() {
    let scene = Scene::new().await;
    let wrong = scene.form("").replace("secret=secret", "secret=wrong");
    let unknown = scene.form("").replace(&scene.client.to_string(), "nobody");
    let no_secret = scene.form("").replace("client_secret=secret&", "");
    let no_client = "grant_type=client_credentials&client_secret=secret".to_owned();
    let password = scene.form("").replace("client_credentials", "password");
    let table = [
        (wrong, 401, "invalid_client"),
        (unknown, 401, "invalid_client"),
        (no_secret, 401, "invalid_client"),
        (no_client, 400, "invalid_request"),
        (password, 400, "unsupported_grant_type"),
        (String::new(), 400, "invalid_request"),
        ("{}".to_owned(), 400, "invalid_request"),
    ];
    for dialect in [V1, V2] {
        for (form, status, word) in &table {
            let answer = scene.asks("POST", dialect, form, &[]).await;
            assert_eq!(answer.status, *status, "{form}: {}", answer.text);
            let json = answer.json();
            assert_eq!(json["error"], *word);
            assert!(!json["error_description"].as_str().unwrap().is_empty());
            assert_eq!(json["correlation_id"].as_str(), answer.header("x-request-id"));
            assert!(!answer.text.contains("secret=") && !answer.text.contains("wrong"));
        }
    }
}

#[tokio::test]
async fn another_tenant_is_not_served() {
    let scene = Scene::new().await;
    for tenant in ["common", "11111111-2222-3333-4444-555555555555"] {
        for (method, path) in [("POST", V1), ("POST", V2), ("GET", "discovery/v2.0/keys")] {
            let path = format!("/{tenant}/{path}");
            let answer = scene.call_with(None, method, &path, &scene.form(""), &[]).await;
            assert_eq!((answer.status, &answer.json()["error"]), (400, &"invalid_request".into()));
        }
    }
}

#[tokio::test]
async fn who_fails_too_often_pauses_and_others_do_not() {
    let scene = Scene::new().await;
    let wrong = scene.form("").replace("secret=secret", "secret=wrong");
    for _ in 0..60 {
        assert_eq!(scene.asks("POST", V2, &wrong, &[]).await.status, 401);
    }
    let answer = scene.asks("POST", V2, &scene.form(""), &[]).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("60")));
    let other = wrong.replace(&scene.client.to_string(), "another");
    assert_eq!(scene.asks("POST", V2, &other, &[]).await.status, 401);
    scene.later(60);
    assert_eq!(scene.asks("POST", V2, &scene.form(""), &[]).await.status, 200);
}

#[tokio::test]
async fn libraries_find_their_way() {
    let scene = Scene::new().await;
    let path = format!("/{}/v2.0/.well-known/openid-configuration", scene.organization);
    let document = scene.anonymous("GET", &path, "").await.json();
    assert_eq!(document["issuer"], format!("http://quell.test/{}/v2.0", scene.organization));
    let keys = document["jwks_uri"].as_str().unwrap().strip_prefix("http://quell.test").unwrap();
    let keys = scene.anonymous("GET", keys, "").await.json();
    assert_eq!(keys["keys"][0]["alg"], "ES256");
    let form = scene.form("");
    let endpoint = document["token_endpoint"].as_str().unwrap().strip_prefix("http://quell.test").unwrap();
    assert_eq!(scene.call_with(None, "POST", endpoint, &form, &[]).await.status, 200);
}
