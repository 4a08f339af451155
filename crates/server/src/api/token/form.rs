//! What clients send: a form, labelled as such or not, in the body of a POST or even a GET; client id and
//! secret in it or in a Basic header.

use std::collections::HashMap;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use data_encoding::BASE64;

use super::refusal::{TokenRefusal, Word};
use crate::api::door::read;
use crate::api::errors::ApiError;

/// A request for a token.
pub(super) struct Form {
    fields: HashMap<String, String>,
    basic: Option<(String, String)>,
}

impl Form {
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, TokenRefusal> {
        let refused = |error: ApiError| TokenRefusal::new(Word::InvalidRequest, error.to_string());
        let body = read(body).await.map_err(refused)?;
        let mut fields = HashMap::new();
        for (name, value) in form_urlencoded::parse(&body) {
            fields.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        let basic = headers.get(AUTHORIZATION).and_then(|header| basic(header.to_str().ok()?));
        Ok(Self { fields, basic })
    }

    /// The first value under that name, unless empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn client_id(&self) -> Option<&str> {
        self.basic.as_ref().map(|(id, _)| id.as_str()).or_else(|| self.get("client_id"))
    }

    pub(super) fn client_secret(&self) -> Option<&str> {
        self.basic.as_ref().map(|(_, secret)| secret.as_str()).or_else(|| self.get("client_secret"))
    }

    pub(super) const fn used_basic(&self) -> bool {
        self.basic.is_some()
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(encoded.trim().as_bytes()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

/// RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
fn form_decoded(text: &str) -> Option<String> {
    let pair = format!("v={}", text.replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_a_basic_header_are_form_decoded() {
        let header = format!("basic {}", BASE64.encode(b"a%3Ab:c%2Bd+e&f=g:h"));
        assert_eq!(basic(&header), Some(("a:b".to_owned(), "c+d e&f=g:h".to_owned())));
        for text in ["", "Basic", "Bearer YTpi", "Basic !", "Basic YQ=="] {
            assert_eq!(basic(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_form_is_read_without_a_label() {
        let body = Body::from("a=1&b=x+y%21&a=2&empty=");
        let form = Form::read(&HeaderMap::new(), body).await.ok().unwrap();
        assert_eq!((form.get("a"), form.get("b")), (Some("1"), Some("x y!")));
        assert_eq!((form.get("empty"), form.get("c")), (None, None));
    }
}
