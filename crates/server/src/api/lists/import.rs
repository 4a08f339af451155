//! `PUT /api/quell/lists/{name}?as=TYPE&comment=…[&value=…][&format=…]`: the body becomes the list of that name.
//!
//! At its end, in one step: until then, and if it does not come whole, the list that was there before counts.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use hyper::body::Body as _;
use model::Time;
use model::determination::DeterminationType;
use tokio::time::Instant;
use wire::lists::{Format, Unread};
use wire::rest::{BodyError, ListProblem, Set};

use super::{ListInPath, shape};
use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::{LONGEST_COMMENT, LONGEST_VALUE};
use crate::api::errors::ApiError;
use crate::api::pace::Credit;
use crate::app::App;
use crate::lists::{Importing, Unmade};
use crate::store::{KnownList, StoreError};

/// A list may take so long to come.
pub(in crate::api) const PATIENCE: Duration = Duration::from_secs(3600);

/// Takes the list in.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    name: ListInPath,
    terms: Terms,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    app.store.check_room_for_list(organization, &name.0).map_err(unnoted)?;
    let importing = app.lists.begin(terms.format).await.map_err(|error| unmade(Unmade::Io(error)))?;
    let importing = importing.ok_or(ApiError::Importing)?;
    receive(&importing, body).await?;
    let made = importing.done().await.map_err(unmade)?;

    let list = KnownList {
        id: made.id,
        name: name.0,
        kind: terms.kind,
        value: terms.value,
        counts: made.counts,
        format: made.format.word().to_owned(),
        version: made.version,
        bytes: made.bytes,
        skipped: made.tally.skipped,
        refused: made.tally.refused,
        imported: Time::default(),
        requestor: String::new(),
        comment: terms.comment,
    };
    let problem =
        |problem: &wire::lists::Problem| ListProblem { line: problem.line, why: problem.why.to_owned() };
    let problems = made.tally.problems.iter().map(problem).collect();
    let replaced = app.store.list(organization, &list.name).await?;
    let same = match replaced {
        Some(replaced) => app.lists.is_same(organization, replaced.id, &made).await.then_some(replaced.id),
        None => None,
    };
    let (lists, store, caller) = (app.lists.clone(), app.store.clone(), calling.caller());
    // To its end, even when the caller has gone: the store would name a file that was taken for surplus.
    let kept = tokio::spawn(async move {
        let note = async { store.put_list(&caller, list, same).await.map_err(unnoted) };
        lists.keep(organization, made, note).await
    });
    let list = kept.await.map_err(|_| ApiError::Panicked)??;
    tracing::info!(list = list.name, bytes = list.bytes, refused = list.refused, "list.imported");
    Ok(called.entity(Set::Lists, shape(&app, organization, list, problems)))
}

/// Hands the body on as it comes. What comes after the reader has had enough is thrown away: who is told before he has
/// sent all may never read the answer.
async fn receive(importing: &Importing, mut body: Body) -> Result<(), ApiError> {
    let (mut is_wanted, mut credit) = (true, Credit::full());
    while let Some(bytes) = in_time(&mut body, &mut credit).await? {
        is_wanted = is_wanted && importing.take(bytes).await;
    }
    Ok(())
}

/// The next bytes. Only the time counts in which they are waited for: no other list may come all the while.
async fn in_time(body: &mut Body, credit: &mut Credit) -> Result<Option<Bytes>, ApiError> {
    let since = Instant::now();
    let come = tokio::time::timeout(credit.left(), next(body)).await;
    credit.waited(since.elapsed());
    match come {
        Err(_) => Err(ApiError::ListTooSlow),
        Ok(None) => Ok(None),
        Ok(Some(Err(error))) => Err(ApiError::Unfit(format!("The list broke off: {error}"))),
        Ok(Some(Ok(bytes))) => {
            credit.earned(bytes.len());
            Ok(Some(bytes))
        }
    }
}

async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(bytes)) => return Some(Ok(bytes)),
            // Trailers say nothing of a list.
            Ok(Err(_)) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

fn unnoted(error: StoreError) -> ApiError {
    match error {
        StoreError::Refused(why) => ApiError::NoRoom(why),
        error => error.into(),
    }
}

fn unmade(error: Unmade) -> ApiError {
    match error {
        Unmade::Io(error) | Unmade::Unread(Unread::Taken(error)) => error.into(),
        Unmade::Unread(_) | Unmade::Nothing(_) => {
            ApiError::Unfit(format!("The list was not imported, and nothing was changed: {error}"))
        }
        Unmade::Panicked => ApiError::Panicked,
    }
}

/// What the query says of the list.
pub(in crate::api) struct Terms {
    kind: DeterminationType,
    value: Option<String>,
    format: Option<Format>,
    comment: String,
}

impl Terms {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let unfit = |text: String| ApiError::Unfit(text);
        let (mut kind, mut value, mut format, mut comment) = (None, None, None, None);
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            match &*name.to_ascii_lowercase() {
                _ if text.trim().is_empty() => {}
                "as" => {
                    let word = DeterminationType::from_word(&text)
                        .filter(|kind| *kind != DeterminationType::Unknown)
                        .ok_or_else(|| unfit(format!("as={text} is none of Clean, Pua, Malware")))?;
                    kind = Some(word);
                }
                "value" if text.len() > LONGEST_VALUE => {
                    return Err(unfit(format!("value is longer than {LONGEST_VALUE} bytes")));
                }
                "value" => value = Some(text.into_owned()),
                "format" => {
                    let known = Format::from_word(&text);
                    let words = Format::ALL.map(Format::word).join(", ");
                    format = Some(known.ok_or_else(|| unfit(format!("format={text} is none of {words}")))?);
                }
                "comment" if text.len() > LONGEST_COMMENT => {
                    return Err(ApiError::LongComment { max: LONGEST_COMMENT });
                }
                "comment" => comment = Some(text.into_owned()),
                _ => {}
            }
        }
        let kind = kind.ok_or(BodyError::Missing("as"))?;
        let comment = comment.ok_or(BodyError::Missing("comment"))?;
        Ok(Self { kind, value, format, comment })
    }
}

impl<S: Sync> FromRequestParts<S> for Terms {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, ready};

    use super::*;
    use crate::api::tests::{Scene, file};

    /// So many bytes a second, for so many seconds.
    struct Drip(tokio::time::Interval, usize, u32);

    impl hyper::body::Body for Drip {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
            if self.2 == 0 {
                return Poll::Ready(None);
            }
            ready!(self.0.poll_tick(context));
            self.2 -= 1;
            Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from(vec![0; self.1])))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_drips_is_cut_off_and_one_that_waits_for_us_is_not() {
        let comes = async |bytes, seconds, ours: Duration| {
            let drip = Drip(tokio::time::interval(Duration::from_secs(1)), bytes, seconds);
            let (mut body, mut credit) = (Body::new(drip), Credit::full());
            while in_time(&mut body, &mut credit).await?.is_some() {
                tokio::time::sleep(ours).await;
            }
            Ok::<_, ApiError>(())
        };
        let begun = Instant::now();
        assert_eq!(comes(1, 3600, Duration::ZERO).await, Err(ApiError::ListTooSlow));
        assert!(begun.elapsed() < Duration::from_secs(70), "{:?}", begun.elapsed());
        assert_eq!(comes(33 << 10, 600, Duration::ZERO).await, Ok(()));
        assert_eq!(comes(1, 3600, Duration::from_secs(2)).await, Ok(()), "the disk is slow");
    }

    const MALWARE: &str = "/api/quell/lists/feed?as=malware&value=Feed/Evil&comment=c";

    #[tokio::test]
    async fn a_list_judges_what_was_seen_before_and_what_is_seen_after() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let text = format!("sha256,md5\n{},\n,{}\nrubbish,\n", file(1).sha256, file(2).md5);
        let answer = scene.call("PUT", MALWARE, &text).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let json = answer.json();
        assert_eq!((&json["entries"], &json["sha256"], &json["md5"]), (&2.into(), &1.into(), &1.into()));
        assert_eq!((&json["format"], &json["usable"]), (&"csv".into(), &true.into()));
        assert_eq!(json["refused"], 1);
        assert_eq!(json["problems"][0]["line"], 4);
        scene.sees(file(2), "/opt/two").await;
        scene.sees(file(3), "/opt/three").await;
        for (number, kind, known_by) in [(1, "Malware", "Sha256"), (2, "Malware", "Md5"), (3, "Unknown", "")]
        {
            let json = scene.call("GET", &format!("/api/files/{}", file(number).sha1), "").await.json();
            assert_eq!(json["determinationType"], kind);
            let word = &json["quell"]["determinations"][0];
            if kind == "Malware" {
                assert_eq!((&word["engine"], &word["knownBy"]), (&"feed".into(), &known_by.into()));
                assert_eq!(json["determinationValue"], "Feed/Evil");
            }
        }
        let line = &scene.audited("list.import").await[0];
        assert!(line.subject.starts_with("feed Malware 2 digests "), "{}", line.subject);
    }

    #[tokio::test]
    async fn a_list_replaces_the_one_of_its_name_or_does_not() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let kind = async || {
            let path = format!("/api/files/{}", file(1).sha1);
            scene.call("GET", &path, "").await.json()["determinationType"].clone()
        };
        scene.call("PUT", MALWARE, &file(1).sha1.to_string()).await;
        assert_eq!(kind().await, "Malware");
        for (body, why) in [
            ("", "holds no digest"),
            ("no digest\nand none here\n", "line 2: it begins with no MD5, SHA-1 or SHA-256"),
            ("[\"", "it is no JSON"),
            ("\u{1f}\u{8b}", "holds no digest"),
        ] {
            let answer = scene.call("PUT", MALWARE, body).await;
            assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &"InvalidInput".into()));
            assert!(answer.text.contains(why), "{body:?}: {}", answer.text);
            assert_eq!(kind().await, "Malware", "after {body:?}");
        }
        let other = "/api/quell/lists/FEED?as=Clean&comment=c&format=plain";
        assert_eq!(scene.call("PUT", other, &file(1).sha1.to_string()).await.status, 200);
        assert_eq!(kind().await, "Clean");
        let lists = scene.call("GET", "/api/quell/lists", "").await.json();
        assert_eq!(lists["value"].as_array().unwrap().len(), 1);
        assert_eq!(scene.list_files(), (2, 0), "the one before, until it is swept; and no part");
        scene.sweeps_lists().await;
        assert_eq!((scene.list_files(), kind().await), ((1, 0), "Clean".into()));

        let shown = scene.call("GET", "/api/quell/lists/feed", "").await.json();
        assert_eq!((&shown["determinationType"], &shown["requestorComment"]), (&"Clean".into(), &"c".into()));
        assert_eq!(scene.call("DELETE", "/api/quell/lists/feed", r#"{"Comment":"old"}"#).await.status, 204);
        assert_eq!(kind().await, "Unknown");
        assert_eq!(scene.call("DELETE", "/api/quell/lists/feed", r#"{"Comment":"old"}"#).await.status, 404);
        assert_eq!(scene.call("GET", "/api/quell/lists/feed", "").await.status, 404);
        scene.sweeps_lists().await;
        assert_eq!((scene.list_files(), scene.audited("list.remove").await.len()), ((0, 0), 1));
    }

    #[tokio::test]
    async fn an_organization_has_at_most_64_lists() {
        let scene = Scene::new().await;
        let text = file(1).sha1.to_string();
        let path = |number: u32| format!("/api/quell/lists/l{number}?as=Malware&comment=c");
        for number in 0..64 {
            assert_eq!(scene.call("PUT", &path(number), &text).await.status, 200);
        }
        let answer = scene.call("PUT", &path(64), &text).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (507, &"QuotaExceeded".into()));
        assert!(answer.text.contains("64 lists"), "{}", answer.text);
        assert_eq!(scene.call("PUT", &path(63), &text).await.status, 200, "one may be replaced");
    }

    #[tokio::test]
    async fn what_stands_above_lists_and_what_gives_way() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let import = async |name: &str, kind: &str, text: String| {
            let path = format!("/api/quell/lists/{name}?as={kind}&comment=c");
            assert_eq!(scene.call("PUT", &path, &text).await.status, 200);
        };
        let shown = async || scene.call("GET", &format!("/api/files/{}", file(1).sha1), "").await.json();
        import("known", "Clean", file(1).md5.to_string()).await;
        let json = shown().await;
        assert_eq!(json["determinationType"], "Unknown", "two files with one MD5 are cheap");
        assert_eq!(json["quell"]["determinations"][0]["decides"], false);
        import("known", "Clean", file(1).sha1.to_string()).await;
        assert_eq!(shown().await["determinationType"], "Clean");
        import("bad", "Pua", file(1).md5.to_string()).await;
        assert_eq!(shown().await["determinationType"], "Pua", "of two lists the graver");
        let path = format!("/api/files/{}/determination", file(1).sha1);
        scene.call("PUT", &path, r#"{"determinationType":"Clean","comment":"ours"}"#).await;
        let json = shown().await;
        assert_eq!(json["determinationType"], "Clean");
        let words = json["quell"]["determinations"].as_array().unwrap();
        let engines: Vec<_> = words.iter().map(|word| word["engine"].as_str().unwrap()).collect();
        assert_eq!(engines, ["analyst", "bad", "known"]);
    }

    #[tokio::test]
    async fn a_list_whose_file_is_gone_says_so_and_breaks_nothing() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        scene.call("PUT", MALWARE, &file(1).sha1.to_string()).await;
        let scene = scene.restarted_without_lists().await;
        let json = scene.call("GET", &format!("/api/files/{}", file(1).sha1), "").await.json();
        assert_eq!(json["determinationType"], "Unknown");
        let lists = scene.call("GET", "/api/quell/lists", "").await.json();
        assert_eq!(lists["value"][0]["usable"], false);
        scene.call("PUT", MALWARE, &file(1).sha1.to_string()).await;
        let lists = scene.call("GET", "/api/quell/lists", "").await.json();
        assert_eq!(lists["value"][0]["usable"], true);
    }

    #[tokio::test]
    async fn what_makes_no_sense_and_who_may_not_are_refused() {
        let scene = Scene::new().await;
        let text = file(1).sha1.to_string();
        for path in [
            "/api/quell/lists/feed?as=Malware",
            "/api/quell/lists/feed?comment=c",
            "/api/quell/lists/feed?as=Unknown&comment=c",
            "/api/quell/lists/feed?as=evil&comment=c",
            "/api/quell/lists/feed?as=Pua&comment=c&format=xml",
            "/api/quell/lists/a%20b?as=Pua&comment=c",
            "/api/quell/lists/a%2fb?as=Pua&comment=c",
        ] {
            assert_eq!(scene.call("PUT", path, &text).await.status, 400, "{path}");
        }
        let long = format!("/api/quell/lists/feed?as=Pua&comment={}", "c".repeat(4097));
        let answer = scene.call("PUT", &long, &text).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &"InvalidInput".into()));
        let reader = scene.token_with(&["File.Read.All", "File.ReadWrite.All"]).await;
        assert_eq!(scene.call_with(Some(&reader), "GET", "/api/quell/lists", "", &[]).await.status, 200);
        assert_eq!(scene.call_with(Some(&reader), "PUT", MALWARE, &text, &[]).await.status, 403);
        let remove = scene.call_with(Some(&reader), "DELETE", "/api/quell/lists/feed", "{}", &[]).await;
        assert_eq!(remove.status, 403);
        assert_eq!(scene.list_files(), (0, 0));
    }
}
