//! As what we were called: root, scheme and host, which answers repeat in `@odata.context`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;
use wire::rest::{Collection, Entity, Root, Set};

use crate::app::App;

/// As what we were called.
pub(super) struct Called {
    /// Scheme and host, without a slash at the end.
    pub(super) base: String,
    root: Root,
}

impl Called {
    /// The answer with one entity.
    pub(super) fn entity<T>(&self, set: Set, entity: T) -> Json<Entity<T>> {
        Json(Entity::new(&self.base, self.root, set, entity))
    }

    /// The answer with some.
    pub(super) fn collection<T>(&self, set: Set, value: Vec<T>) -> Json<Collection<T>> {
        Json(Collection::new(&self.base, self.root, set, value))
    }
}

impl FromRequestParts<Arc<App>> for Called {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let preview = parts.uri.path().starts_with("/testwdatppreview/");
        let root = if preview { Root::Preview } else { Root::Api };
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host));
        let base = match (&app.public_url, host) {
            (Some(url), _) => url.clone(),
            (None, Some(host)) => format!("http://{host}"),
            (None, None) => format!("http://{}", app.address),
        };
        Ok(Self { base, root })
    }
}

/// What a caller claims is repeated only when it is a host and nothing else.
fn is_host(text: &str) -> bool {
    let ordinary = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(ordinary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_are_repeated() {
        for host in ["localhost", "127.0.0.1:8080", "[::1]:80", "api.example.test"] {
            assert!(is_host(host), "{host}");
        }
        for text in ["", "a b", "a/b", "a\"", "<script>", "user@host"] {
            assert!(!is_host(text), "{text}");
        }
    }
}
