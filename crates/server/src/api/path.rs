//! One spelling for each address.

use std::borrow::Cow;

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Lower case, no empty segment, no version: clients write `StopAndQuarantineFile` and `stopAndQuarantineFile`,
/// end in a slash or not, and put `/v1.0` in or not. All names in our paths are hexadecimal or host names, so
/// their case means nothing either. The query stays as it is.
pub(super) fn plain(uri: &Uri) -> Option<Uri> {
    let Cow::Owned(path) = plain_path(uri.path()) else { return None };
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

fn plain_path(path: &str) -> Cow<'_, str> {
    let capital = path.bytes().any(|byte| byte.is_ascii_uppercase());
    let odd = path.len() > 1 && (path.ends_with('/') || path.contains("//") || path.contains("/v1.0"));
    if !capital && !odd {
        return Cow::Borrowed(path);
    }
    let lower = path.to_ascii_lowercase();
    let mut segments: Vec<&str> = lower.split('/').filter(|segment| !segment.is_empty()).collect();
    if let ["api" | "testwdatppreview", "v1.0", ..] = segments[..] {
        segments.remove(1);
    }
    Cow::Owned(format!("/{}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_leads_to_the_same_place() {
        let table = [
            ("/api/files/ab", "/api/files/ab"),
            ("/API/Files/AB", "/api/files/ab"),
            ("/api/files/ab/", "/api/files/ab"),
            ("/api/v1.0/files/ab", "/api/files/ab"),
            ("/Api/V1.0//files/ab//", "/api/files/ab"),
            ("/testwdatppreview/v1.0/fileactions", "/testwdatppreview/fileactions"),
            ("/api/machines/v1.0", "/api/machines/v1.0"),
            ("/", "/"),
            ("//", "/"),
        ];
        for (given, expected) in table {
            assert_eq!(plain_path(given), expected, "{given}");
        }
    }

    #[test]
    fn the_query_is_not_touched() {
        let uri: Uri = "http://h/API/MachineActions/?$filter=id+eq+'A'&".parse().unwrap();
        let plain = plain(&uri).unwrap();
        assert_eq!(plain.to_string(), "http://h/api/machineactions?$filter=id+eq+'A'&");
    }
}
