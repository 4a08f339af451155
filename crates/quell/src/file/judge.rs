//! `quell file judge`: an analyst's word about a file, or taking it back.

use model::determination::DeterminationType;
use serde_json::{Value, json};

use crate::client::target::Target;
use crate::client::{Api, text};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

/// What is said of it.
#[derive(clap::Args)]
pub(super) struct Judgement {
    /// What it is: clean, pua, malware; unknown takes the word back
    #[arg(long = "as", value_name = "TYPE", value_parser = kind)]
    kind: DeterminationType,
    /// The threat's name
    #[arg(long, value_name = "NAME")]
    value: Option<String>,
}

/// The type that a word of the command line means.
fn kind(word: &str) -> Result<DeterminationType, String> {
    DeterminationType::from_word(word).ok_or_else(|| "there are clean, pua, malware and unknown".to_owned())
}

pub(super) fn run(
    api: &Api,
    format: Format,
    target: &Target,
    judgement: &Judgement,
    comment: &str,
) -> Result<(), Failure> {
    let id = target.id();
    let body = json!({
        "determinationType": judgement.kind.word(), "determinationValue": judgement.value, "comment": comment,
    });
    let answer = api.put(&format!("/api/files/{id}/determination"), &body).map_err(|failure| {
        match (judgement.kind, failure.exit) {
            (DeterminationType::Unknown, Exit::NotFound) => {
                failure.hint("no analyst has judged it; see who has: quell file show HASH")
            }
            _ => failure,
        }
    })?;
    match format {
        Format::Json => say::out(answer.body),
        Format::Table => say::out(format!("{id} is {}", now(&answer.json))),
    }
    Ok(())
}

/// What counts now, and whose word that is.
fn now(judged: &Value) -> String {
    let kind = text(judged, "determinationType");
    let by = match &judged["determinations"][0] {
        word if word["decides"] == true => format!(", by {}", text(word, "engine")),
        _ => String::new(),
    };
    match judged["determinationValue"].as_str() {
        Some(value) => format!("{kind} ({value}){by}"),
        None => format!("{kind}{by}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_told_with_whose_word_it_is() {
        let judged = json!({ "determinationType": "Malware", "determinationValue": "Eicar",
            "determinations": [{ "engine": "feed", "decides": true }] });
        assert_eq!(now(&judged), "Malware (Eicar), by feed");
        let judged = json!({ "determinationType": "Unknown", "determinationValue": null,
            "determinations": [{ "engine": "feed", "decides": false }] });
        assert_eq!(now(&judged), "Unknown");
    }
}
