//! What a server's refusal means here: which exit code, and what to do next.

use serde_json::Value;

use crate::exit::Exit;
use crate::failure::Failure;

/// Too many calls: to be tried again,
const BUSY: u16 = 429;
/// and so is this where the server says when.
const UNAVAILABLE: u16 = 503;

/// A refusal: the API's envelope, or the token endpoint's two words.
pub(super) fn of_answer(status: u16, body: &str, retry_after: Option<u64>) -> Failure {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let error = &json["error"];
    let (code, message, target) = match error.as_str() {
        Some(word) => (word, json["error_description"].as_str(), json["correlation_id"].as_str()),
        None => (error["code"].as_str().unwrap_or(""), error["message"].as_str(), error["target"].as_str()),
    };
    let message = message.filter(|text| !text.is_empty()).map_or_else(|| unexplained(status), str::to_owned);
    let failure = Failure::new(exit_of(status, code), message).target(target);
    let failure = if code.is_empty() { failure.code(status.to_string()) } else { failure.code(code) };
    let is_for_now = status == BUSY || (status == UNAVAILABLE && retry_after.is_some());
    let failure = if is_for_now { failure.retry_after(retry_after) } else { failure };
    match hint(status, code, retry_after) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// No answer at all.
pub(super) fn of_transport(error: &ureq::Error, url: &str) -> Failure {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            Failure::usage(format!("{url} is not an URL that can be called: {error}"))
                .hint("give scheme and host, such as http://127.0.0.1:8440")
        }
        ureq::Error::Tls(_) => Failure::usage(format!("{url} needs TLS, which this build does not speak"))
            .hint("call the API over http on loopback"),
        other => Failure::new(Exit::Unreachable, format!("no answer from {url}: {other}"))
            .hint("is `quell up` running? Otherwise name another server with --profile FILE or QUELL_URL"),
    }
}

fn exit_of(status: u16, code: &str) -> Exit {
    match (status, code) {
        (_, "ActiveRequestAlreadyExists") => Exit::Conflict,
        (
            _,
            "DisallowedOperation"
            | "ConfirmationRequired"
            | "DisabledFeature"
            | "OsPlatformNotSupported"
            | "ClientVersionNotSupported"
            | "QuotaExceeded"
            | "ApprovalRefused"
            | "KeyChangeRefused",
        ) => Exit::Refused,
        // What is asked of an order does not fit how far it is.
        (_, "BadRequest") => Exit::Conflict,
        (_, "invalid_client" | "unauthorized_client" | "invalid_scope") => Exit::NotPermitted,
        (401 | 403, _) => Exit::NotPermitted,
        (404, _) => Exit::NotFound,
        (409 | 412, _) => Exit::Conflict,
        (400, _) => Exit::Usage,
        (502..=504, _) => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

fn hint(status: u16, code: &str, retry_after: Option<u64>) -> Option<String> {
    let hint = match (status, code) {
        (_, "ActiveRequestAlreadyExists") => "follow the one that is open: quell order list",
        (_, "DisallowedOperation") => {
            "without this file the machine could not be repaired; choose another file, or replace the package"
        }
        (_, "ConfirmationRequired") => "if that copy itself is meant: --confirm-spared-path",
        (_, "QuotaExceeded") => {
            "samples are deleted by undoing the orders that collected them: quell order list; lists by `quell list remove NAME`"
        }
        (_, "OsPlatformNotSupported") => "restart `quell up` on that machine with --guard PATH",
        (_, "invalid_client" | "unauthorized_client") => {
            "use the ready file of the running `quell up`: --profile FILE"
        }
        (401, _) => {
            "sign in again; if the server has a new data directory, use its ready file: --profile FILE"
        }
        (403, _) => "use an application that has this permission",
        (404, _) => {
            "a file is known once a watched machine has seen it; see also: quell machine list, quell order list"
        }
        (BUSY, _) => return Some(retry(retry_after)),
        (500..=599, _) => "try again; the server's log names the cause",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn retry(after: Option<u64>) -> String {
    match after {
        Some(1) => "try again in a second".to_owned(),
        Some(seconds) => format!("try again in {seconds} seconds"),
        None => "try again later".to_owned(),
    }
}

fn unexplained(status: u16) -> String {
    format!("the server refused with status {status} and did not say why")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn envelope(status: u16, code: &str) -> Failure {
        let body = format!(r#"{{"error":{{"code":"{code}","message":"why","target":"id"}}}}"#);
        of_answer(status, &body, Some(7))
    }

    #[test]
    fn each_refusal_has_its_number() {
        let table = [
            (400, "InvalidHashValue", Exit::Usage),
            (400, "MissingRequiredParameter", Exit::Usage),
            (400, "InvalidInput", Exit::Usage),
            (400, "ActiveRequestAlreadyExists", Exit::Conflict),
            (400, "OsPlatformNotSupported", Exit::Refused),
            (401, "Unauthorized", Exit::NotPermitted),
            (403, "Forbidden", Exit::NotPermitted),
            (403, "DisallowedOperation", Exit::Refused),
            (400, "ApprovalRefused", Exit::Refused),
            (400, "KeyChangeRefused", Exit::Refused),
            (400, "BadRequest", Exit::Conflict),
            (400, "ConfirmationRequired", Exit::Refused),
            (404, "ResourceNotFound", Exit::NotFound),
            (409, "", Exit::Conflict),
            (429, "TooManyRequests", Exit::Failed),
            (500, "InternalServerError", Exit::Failed),
            (503, "", Exit::Unreachable),
            (507, "QuotaExceeded", Exit::Refused),
        ];
        for (status, code, exit) in table {
            assert_eq!(envelope(status, code).exit, exit, "{status} {code}");
        }
    }

    #[test]
    fn the_message_is_the_servers_and_the_hint_is_ours() {
        let text = envelope(429, "TooManyRequests").to_string();
        assert_eq!(text, "error: why\n next: try again in 7 seconds");
        let text = of_answer(500, "<html>", None).to_string();
        assert!(text.contains("status 500"), "{text}");
    }

    #[test]
    fn what_is_for_now_is_tried_again_and_not_at_once() {
        assert_eq!(envelope(429, "TooManyRequests").retry_after, Some(Duration::from_secs(7)));
        assert_eq!(envelope(503, "ServiceUnavailable").retry_after, Some(Duration::from_secs(7)));
        assert_eq!(of_answer(503, "", None).retry_after, None, "a proxy that finds no server");
        assert_eq!(of_answer(429, "", Some(0)).retry_after, Some(Duration::from_secs(1)), "nobody spins");
        assert_eq!(envelope(400, "BadRequest").retry_after, None);
    }

    #[test]
    fn the_token_endpoint_speaks_otherwise() {
        let body = r#"{"error":"invalid_client","error_description":"no such secret","correlation_id":"x"}"#;
        let failure = of_answer(401, body, None);
        assert_eq!(failure.exit, Exit::NotPermitted);
        assert!(failure.to_string().starts_with("error: no such secret\n next: "), "{failure}");
    }

    #[test]
    fn a_server_that_is_not_there_is_unreachable() {
        let error = ureq::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!(of_transport(&error, "http://127.0.0.1:1").exit, Exit::Unreachable);
        assert_eq!(of_transport(&ureq::Error::BadUri("x".into()), "x").exit, Exit::Usage);
    }
}
