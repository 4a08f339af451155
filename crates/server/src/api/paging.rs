//! `$top` and `$skip`. Other options are not looked at yet.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::errors::ApiError;
use crate::store::Page;

/// The contract's page.
const PAGE: u32 = 10_000;

/// Which part of a collection is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    skip: u32,
    top: u32,
}

impl Paging {
    /// That part of it.
    pub(super) fn of<T>(self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        all.into_iter().skip(self.skip as usize).take(self.top as usize).collect()
    }

    /// For the store, where there may be too much to bring all of it.
    pub(super) const fn page(self) -> Page {
        Page { skip: self.skip, top: self.top }
    }

    fn parse(query: &str) -> Result<Self, ApiError> {
        let mut paging = Self { skip: 0, top: PAGE };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let number = || {
                value.trim().parse::<u32>().map_err(|_| {
                    ApiError::Query(format!(
                        "The query specified in the URI is not valid. Invalid value '{value}' for {name} found. \
                         It requires a non-negative integer value."
                    ))
                })
            };
            match name.as_ref() {
                "$top" => paging.top = number()?.min(PAGE),
                "$skip" => paging.skip = number()?,
                _ => {}
            }
        }
        Ok(paging)
    }
}

impl<S: Sync> FromRequestParts<S> for Paging {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_clients_write_them() {
        let table = [
            ("", 0, PAGE),
            ("$top=2&", 0, 2),
            ("%24top=2&%24skip=1", 1, 2),
            ("$skip=3&$filter=a+eq+'b'", 3, PAGE),
            ("$top=20000", 0, PAGE),
        ];
        for (query, skip, top) in table {
            assert_eq!(Paging::parse(query), Ok(Paging { skip, top }), "{query}");
        }
        for query in ["$top=-1", "$top=x", "$skip=", "$top=1.5"] {
            assert!(Paging::parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_page_is_cut_out() {
        assert_eq!(Paging { skip: 1, top: 2 }.of(0..9), [1, 2]);
        assert_eq!(Paging { skip: 9, top: 2 }.of(0..9), [0; 0]);
    }
}
