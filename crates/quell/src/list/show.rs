//! `quell list list`, `show`, `remove`.

use serde_json::{Value, json};

use crate::client::{Api, list, text};
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

pub(super) fn all(api: &Api, format: Format) -> Result<(), Failure> {
    let answer = api.get("/api/quell/lists")?;
    match format {
        Format::Json => say::out(answer.body),
        Format::Table => say::out(table::rows(
            ["name", "judges", "value", "digests", "refused", "imported", "state"],
            list(&answer.json).iter().map(|list| {
                let get = |key| text(list, key);
                let [name, kind, value] = ["name", "determinationType", "determinationValue"].map(get);
                [name, kind, value, get("entries"), get("refused"), get("imported"), state(list)]
            }),
        )),
    }
    Ok(())
}

pub(super) fn one(api: &Api, format: Format, name: &str) -> Result<(), Failure> {
    let answer = api.get(&format!("/api/quell/lists/{name}")).map_err(hinted)?;
    match format {
        Format::Json => say::out(answer.body),
        Format::Table => {
            let get = |key| text(&answer.json, key);
            say::out(table::facts([
                ("name", get("name")),
                ("judges", get("determinationType")),
                ("value", get("determinationValue")),
                ("digests", get("entries")),
                ("SHA-256", get("sha256")),
                ("SHA-1", get("sha1")),
                ("MD5", get("md5")),
                ("no indicators", get("skipped")),
                ("refused", get("refused")),
                ("format", get("format")),
                ("size", format!("{} bytes", get("bytes"))),
                ("version", get("version")),
                ("imported", get("imported")),
                ("by", get("requestor")),
                ("comment", get("requestorComment")),
                ("state", state(&answer.json)),
            ]));
        }
    }
    Ok(())
}

pub(super) fn remove(api: &Api, name: &str, comment: &str) -> Result<(), Failure> {
    let body = json!({ "Comment": comment });
    api.delete(&format!("/api/quell/lists/{name}"), &body).map_err(hinted)?;
    say::aside(format!("removed: nothing is judged by {name} any more"));
    Ok(())
}

fn hinted(failure: Failure) -> Failure {
    match failure.exit {
        crate::exit::Exit::NotFound => failure.hint("see which there are: quell list list"),
        _ => failure,
    }
}

fn state(list: &Value) -> String {
    let usable = list["usable"] == true;
    if usable { "in use" } else { "its digests are lost: import it again" }.to_owned()
}
