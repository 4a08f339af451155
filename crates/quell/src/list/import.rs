//! `quell list import`: a list's bytes go to the server as they are, and it reads them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use model::determination::DeterminationType;
use serde_json::Value;

use crate::client::{Api, text};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

/// What the list is to be.
pub(super) struct List {
    pub(super) name: String,
    pub(super) kind: DeterminationType,
    pub(super) value: Option<String>,
    pub(super) form: Option<String>,
    pub(super) comment: String,
}

/// Brings it. What the server made of it goes to stdout, what it could not read beside it.
pub(super) fn run(api: &Api, format: Format, from: &Path, list: &List) -> Result<(), Failure> {
    let (mut source, bar) = open(from)?;
    let mut query = vec![("as", list.kind.word()), ("comment", &list.comment)];
    query.extend(list.value.as_deref().map(|value| ("value", value)));
    query.extend(list.form.as_deref().map(|form| ("format", form)));
    let path = format!("/api/quell/lists/{}", list.name);
    let answer = api.upload(&path, &query, &mut bar.wrap_read(&mut source));
    bar.finish_and_clear();
    let answer = answer?;
    match format {
        Format::Json => say::out(answer.body),
        Format::Table => {
            tell_problems(&answer.json);
            say::out(format!(
                "{}: {} digests ({} SHA-256, {} SHA-1, {} MD5), each {}",
                list.name,
                text(&answer.json, "entries"),
                text(&answer.json, "sha256"),
                text(&answer.json, "sha1"),
                text(&answer.json, "md5"),
                text(&answer.json, "determinationType"),
            ));
        }
    }
    Ok(())
}

fn tell_problems(made: &Value) {
    let count = |key| made[key].as_u64().unwrap_or_default();
    if count("skipped") > 0 {
        say::aside(format!(
            "{} entries are no indicators, by the list's own word: left out",
            count("skipped")
        ));
    }
    if count("refused") > 0 {
        say::aside(format!("{} entries can't be read and are left out:", count("refused")));
        for problem in made["problems"].as_array().into_iter().flatten() {
            say::aside(format!("  line {}: {}", text(problem, "line"), text(problem, "why")));
        }
    }
}

/// The list, and a bar that is drawn on a terminal only.
fn open(from: &Path) -> Result<(Box<dyn Read>, ProgressBar), Failure> {
    if from == Path::new("-") {
        let bar = ProgressBar::new_spinner().with_style(style("sending {bytes} {bytes_per_sec}"));
        return Ok((Box::new(io::stdin().lock()), bar));
    }
    let unreadable = |error: io::Error| {
        let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, format!("cannot read {}: {error}", from.display()))
    };
    let file = File::open(from).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if found.is_dir() {
        return Err(Failure::usage(format!("{} is a directory", from.display())));
    }
    let bar = ProgressBar::new(found.len())
        .with_style(style("sending {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}"));
    Ok((Box::new(file), bar))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
