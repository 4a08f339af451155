//! Determinations: what a file is judged to be, by whom. Our own shapes; the contract has only the type and value.

use std::cmp::Reverse;

use model::determination::{Determination, decide, rank};
use serde::{Serialize, Serializer};

use super::text::Stamp;

/// One word about a file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// `analyst`, `list`, `clamav`, …
    pub source: &'static str,
    /// Which of them: the list's name.
    pub engine: String,
    /// In which version; null where there are none.
    #[serde(serialize_with = "or_null")]
    pub engine_version: String,
    /// What it says.
    pub determination_type: &'static str,
    /// The threat's name.
    pub determination_value: Option<String>,
    /// When it was said.
    pub time: Stamp,
    /// Who said so, or had it judged.
    #[serde(serialize_with = "or_null")]
    pub by: String,
    /// On what ground.
    #[serde(serialize_with = "or_null")]
    pub evidence: String,
    /// By which of the file's names.
    pub known_by: &'static str,
    /// Whether it is the one that counts.
    pub decides: bool,
}

/// All words about a file, and the one that counts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgements {
    /// `Unknown` when nobody has judged.
    pub determination_type: &'static str,
    /// The threat's name.
    pub determination_value: Option<String>,
    /// All of them, the one that counts first.
    pub determinations: Vec<Judgement>,
}

impl From<Vec<Determination>> for Judgements {
    fn from(mut words: Vec<Determination>) -> Self {
        words.sort_by_key(|word| Reverse(rank(word)));
        let (determination_type, determination_value) =
            decide(&words).map_or(("Unknown", None), |word| (word.kind.word(), word.value.clone()));
        let counts = decide(&words).cloned();
        let determinations =
            words.into_iter().map(|word| Judgement::of(counts.as_ref() == Some(&word), word)).collect();
        Self { determination_type, determination_value, determinations }
    }
}

impl Judgement {
    fn of(decides: bool, word: Determination) -> Self {
        Self {
            source: word.source.word(),
            engine: word.engine,
            engine_version: word.version,
            determination_type: word.kind.word(),
            determination_value: word.value,
            time: Stamp(word.at),
            by: word.by,
            evidence: word.evidence,
            known_by: word.known_by.word(),
            decides,
        }
    }
}

fn or_null<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if text.is_empty() { serializer.serialize_none() } else { serializer.serialize_str(text) }
}

#[cfg(test)]
mod tests {
    use model::Time;
    use model::determination::{DeterminationType, KnownBy, Source};

    use super::*;

    #[test]
    fn the_word_that_counts_comes_first() {
        let word = |source, kind, value: Option<&str>, engine: &str| Determination {
            kind,
            value: value.map(str::to_owned),
            source,
            engine: engine.to_owned(),
            version: String::new(),
            at: Time::from_seconds(1_512_392_783),
            by: "analyst (…)".to_owned(),
            evidence: "case 7".to_owned(),
            known_by: KnownBy::Sha1,
        };
        let words = vec![
            word(Source::List, DeterminationType::Malware, Some("Trojan:Linux/X"), "feed"),
            word(Source::Analyst, DeterminationType::Clean, None, "analyst"),
        ];
        let judged = Judgements::from(words);
        assert_eq!((judged.determination_type, &judged.determination_value), ("Clean", &None));
        assert!(judged.determinations[0].decides);
        insta::assert_snapshot!(serde_json::to_string_pretty(&judged.determinations[1]).unwrap(), @r#"
        {
          "source": "list",
          "engine": "feed",
          "engineVersion": null,
          "determinationType": "Malware",
          "determinationValue": "Trojan:Linux/X",
          "time": "2017-12-04T13:06:23Z",
          "by": "analyst (…)",
          "evidence": "case 7",
          "knownBy": "Sha1",
          "decides": false
        }
        "#);
    }
}
