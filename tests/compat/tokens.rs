//! The token endpoint, in both dialects and as each client speaks them.

use serde_json::{Value, json};

use crate::http::{Connection, Request};
use crate::world::World;

const V1: &str = "oauth2/token";
const V2: &str = "oauth2/v2.0/token";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// The token opens the API.
#[track_caller]
fn opens(world: &World, answer: &Value) {
    assert_eq!(answer["token_type"], "Bearer");
    let token = answer["access_token"].as_str().expect("a token");
    let called = Request::new("GET", "/api/machines").bearer(token).send(&world.address);
    assert_eq!(called.status, 200, "{}", called.text);
}

#[test]
fn both_dialects_are_served() {
    let Some(world) = World::start() else { return };
    for scope in [
        "https://api.securitycenter.microsoft.com/.default",
        "https://api.security.microsoft.com/.default",
        "https://securitycenter.onmicrosoft.com/windowsatpservice/.default",
        "https://graph.microsoft.com/.default",
        "http://quell.test:8080/.default",
        "openid profile",
    ] {
        let form =
            world.form(&format!("scope={}&client_info=1", scope.replace(':', "%3A").replace(' ', "+")));
        let answer = world.asks_token("POST", V2, &form, &[FORM]);
        let token = answer.is(200);
        assert_eq!(token["expires_in"], json!(3600), "a number in this dialect");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        opens(&world, &token);
    }
    for resource in
        ["https://api.securitycenter.windows.com", "https://api.securitycenter.microsoft.com/", ""]
    {
        let form = world.form(&format!("resource={resource}&redirectUri=x"));
        let token = world.asks_token("POST", V1, &form, &[FORM]).is(200);
        assert_eq!(token["expires_in"], json!("3600"), "a text in this dialect");
        for key in ["expires_on", "not_before", "resource"] {
            assert!(token[key].is_string(), "{key}");
        }
        opens(&world, &token);
    }
    world.up.stop();
}

#[test]
fn a_form_is_read_wherever_and_however_it_comes() {
    let Some(world) = World::start() else { return };
    let form = world.form("resource=https%3A%2F%2Fapi.securitycenter.windows.com");
    // Splunk SOAR labels nothing; Sekoia sends the form with a GET.
    opens(&world, &world.asks_token("POST", V1, &form, &[]).is(200));
    opens(&world, &world.asks_token("GET", V1, &form, &[FORM]).is(200));
    opens(&world, &world.asks_token("POST", V1, &form, &[("Content-Type", "application/json")]).is(200));
    let path = format!("/{}/OAuth2/V2.0/Token/", world.up.field("tenantId").to_uppercase());
    opens(&world, &Request::new("POST", &path).body(form.clone()).send(&world.address).is(200));
    // In chunks, on a connection that is used again afterwards.
    let mut connection = Connection::open(&world.address);
    let path = format!("/{}/{V2}", world.up.field("tenantId"));
    let (head, tail) = form.split_at(30);
    let bytes = format!(
        "POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{head}\r\n{:x}\r\n{tail}\r\n0\r\n\r\n",
        head.len(),
        tail.len()
    );
    connection.write(bytes.as_bytes());
    opens(&world, &connection.answer().is(200));
    assert_eq!(connection.ask(&world.request("GET", "/api/machines")).status, 200);
    world.up.stop();
}

#[test]
fn a_basic_header_does_as_well() {
    let Some(world) = World::start() else { return };
    let (id, secret) = (world.up.field("clientId"), world.up.field("clientSecret"));
    let only_grant = "grant_type=client_credentials&scope=x";
    // Go's library form-encodes both parts.
    let encoded = id.replace('-', "%2D");
    for pair in [format!("{id}:{secret}"), format!("{encoded}:{secret}")] {
        let header = format!("Basic {}", base64(pair.as_bytes()));
        opens(&world, &world.asks_token("POST", V2, only_grant, &[("Authorization", &header), FORM]).is(200));
    }
    let header = format!("Basic {}", base64(format!("{id}:wrong").as_bytes()));
    let answer = world.asks_token("POST", V2, only_grant, &[("Authorization", &header), FORM]);
    assert_eq!(answer.is(401)["error"], "invalid_client");
    assert!(answer.header("www-authenticate").unwrap().starts_with("Basic"));
    world.up.stop();
}

#[test]
fn refusals_have_a_text_as_error_and_say_why() {
    let Some(world) = World::start() else { return };
    let right = world.form("scope=x");
    let wrong = right.replace(world.up.field("clientSecret"), "wrong");
    let unknown = right.replace(world.up.field("clientId"), "11111111-2222-3333-4444-555555555555");
    let password = right.replace("client_credentials", "password");
    let table = [
        (wrong.as_str(), 401, "invalid_client"),
        (&unknown, 401, "invalid_client"),
        (&password, 400, "unsupported_grant_type"),
        ("", 400, "invalid_request"),
        ("{\"client_id\":1}", 400, "invalid_request"),
        ("%00%ff=&&==", 400, "invalid_request"),
    ];
    for dialect in [V1, V2] {
        for (form, status, word) in table {
            let refusal = world.asks_token("POST", dialect, form, &[FORM]).is(status);
            assert_eq!(refusal["error"], word, "{form}");
            assert!(!refusal["error_description"].as_str().unwrap().is_empty());
        }
        let path = format!("/11111111-2222-3333-4444-555555555555/{dialect}");
        let refusal = Request::new("POST", &path).body(right.clone()).send(&world.address).is(400);
        assert_eq!(refusal["error"], "invalid_request");
        assert!(refusal["error_description"].as_str().unwrap().contains("not found"));
    }
    world.up.stop();
}

#[test]
fn libraries_discover_the_endpoint() {
    let Some(world) = World::start() else { return };
    let path = format!("/{}/v2.0/.well-known/openid-configuration", world.up.field("tenantId"));
    let document = Request::new("GET", &path).send(&world.address).is(200);
    for key in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
        let place = document[key].as_str().unwrap_or_else(|| panic!("{key}: {document}"));
        assert!(place.starts_with("http://quell.test:8080/"), "{place}");
    }
    let place = document["token_endpoint"].as_str().unwrap().strip_prefix("http://quell.test:8080").unwrap();
    let request =
        Request::new("POST", place).header("x-client-sku", "MSAL.Python").body(world.form("scope=x"));
    opens(&world, &request.send(&world.address).is(200));
    world.up.stop();
}

/// RFC 4648, section 4.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let of = |chunk: &[u8]| -> String {
        let padded = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        let letter = |place: usize| char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]);
        (0..4).map(|place| if place <= chunk.len() { letter(place) } else { '=' }).collect()
    };
    bytes.chunks(3).map(of).collect()
}

#[test]
fn base64_is_that_of_the_rfc() {
    for (plain, encoded) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(plain.as_bytes()), encoded);
    }
}
