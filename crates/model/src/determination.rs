//! What a file is judged to be, by which source, and whose word counts.
//!
//! Sources stand in a fixed order; the first of them that has a word decides:
//!
//! 1. an analyst, and of several words the newest;
//! 2. lists of digests;
//! 3. ClamAV;
//! 4. YARA-X;
//! 5. provenance (package, signature): evidence for `Clean` that never decides.
//!
//! Within the sources 2 to 4 the graver type wins: whoever makes two files with one MD5 or SHA-1 can make his own file
//! look like a clean one that he made too, but not a clean file of others look like his. For the same reason a `Clean`
//! that is known by MD5 alone decides nothing.

use std::cmp::Reverse;

use crate::Time;

/// What a file is judged to be. The words are the compatible API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DeterminationType {
    /// Nobody has judged.
    #[default]
    Unknown,
    /// Nothing is wrong with it.
    Clean,
    /// Potentially unwanted.
    Pua,
    /// Malicious.
    Malware,
}

impl DeterminationType {
    /// Every type, the least grave first.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Clean, Self::Pua, Self::Malware];

    /// The word on the wire and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Clean => "Clean",
            Self::Pua => "Pua",
            Self::Malware => "Malware",
        }
    }

    /// The type that `word` means, in whatever case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word().eq_ignore_ascii_case(word))
    }
}

/// Who judges. The order is that of precedence, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A person.
    Analyst,
    /// A list of digests that was imported.
    List,
    /// ClamAV.
    ClamAv,
    /// YARA-X with the operator's rules.
    YaraX,
    /// The package it comes from, or its signature.
    Provenance,
}

impl Source {
    /// Every source, the strongest first.
    pub const ALL: [Self; 5] = [Self::Analyst, Self::List, Self::ClamAv, Self::YaraX, Self::Provenance];

    /// The word on the wire and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Analyst => "analyst",
            Self::List => "list",
            Self::ClamAv => "clamav",
            Self::YaraX => "yara-x",
            Self::Provenance => "provenance",
        }
    }

    /// The source that `word` means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

/// By which of a file's names a word about it is known. The longer the name, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KnownBy {
    /// By MD5.
    Md5,
    /// By SHA-1.
    Sha1,
    /// By SHA-256.
    Sha256,
}

impl KnownBy {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Md5 => "Md5",
            Self::Sha1 => "Sha1",
            Self::Sha256 => "Sha256",
        }
    }
}

/// One word about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Determination {
    /// What it says.
    pub kind: DeterminationType,
    /// The threat's name, if it has one.
    pub value: Option<String>,
    /// What sort of judge it is,
    pub source: Source,
    /// and which of them: the list's name, the engine's.
    pub engine: String,
    /// In which version: of its signatures, rules or content; empty where there are none.
    pub version: String,
    /// When it judged.
    pub at: Time,
    /// Who said so, or had it judged; empty if nobody in particular.
    pub by: String,
    /// On what ground: an analyst's comment, a list's comment, a rule's name.
    pub evidence: String,
    /// By which name of the file.
    pub known_by: KnownBy,
}

impl Determination {
    /// Whether it can decide at all, or is only shown.
    pub fn decides(&self) -> bool {
        let says_clean = self.kind == DeterminationType::Clean;
        self.kind != DeterminationType::Unknown
            && self.source != Source::Provenance
            && !(says_clean && self.known_by == KnownBy::Md5)
    }
}

/// The rank of a word among words about one file: the greatest wins. The order is total: of two words that differ in
/// none of these nothing is left that could tell them apart.
pub fn rank(word: &Determination) -> impl Ord + use<> {
    let newest = (word.source == Source::Analyst).then_some(word.at);
    (
        (word.decides(), Reverse(word.source), newest),
        (word.kind, word.known_by, word.at),
        Reverse((word.engine.clone(), word.version.clone(), word.value.clone(), word.by.clone())),
    )
}

/// The word that counts; none when nobody has judged.
pub fn decide(words: &[Determination]) -> Option<&Determination> {
    words.iter().filter(|word| word.decides()).max_by_key(|word| rank(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(source: Source, kind: DeterminationType) -> Determination {
        Determination {
            kind,
            value: None,
            source,
            engine: source.word().into(),
            version: String::new(),
            at: Time::from_seconds(100),
            by: String::new(),
            evidence: String::new(),
            known_by: KnownBy::Sha256,
        }
    }

    #[test]
    fn the_first_source_that_has_a_word_decides() {
        use DeterminationType::*;
        use Source::*;
        let at = |word: Determination, seconds| Determination { at: Time::from_seconds(seconds), ..word };
        let by = |word: Determination, known_by| Determination { known_by, ..word };
        // (loser, winner), in whatever order they come.
        let table = [
            // Between sources: the stronger source, however grave or new the other's word.
            (word(List, Malware), word(Analyst, Clean)),
            (at(word(List, Malware), 900), word(Analyst, Pua)),
            (word(ClamAv, Malware), word(List, Clean)),
            (word(YaraX, Malware), word(ClamAv, Pua)),
            (word(Provenance, Clean), word(YaraX, Pua)),
            (word(YaraX, Pua), word(Analyst, Malware)),
            (word(List, Clean), word(Analyst, Malware)),
            // Analysts: the newest, also when it takes a grave word back, and by whatever name.
            (at(word(Analyst, Malware), 1), at(word(Analyst, Clean), 2)),
            (
                by(at(word(Analyst, Clean), 1), KnownBy::Sha256),
                by(at(word(Analyst, Malware), 2), KnownBy::Sha1),
            ),
            // Lists and engines: the graver, by whatever name and of whatever age,
            (word(List, Clean), word(List, Malware)),
            (at(word(List, Clean), 900), word(List, Pua)),
            (by(word(List, Clean), KnownBy::Sha256), by(word(List, Malware), KnownBy::Md5)),
            (word(ClamAv, Pua), word(ClamAv, Malware)),
            // then the longer name, then the newer.
            (by(at(word(List, Malware), 900), KnownBy::Md5), by(word(List, Malware), KnownBy::Sha1)),
            (word(List, Malware), at(word(List, Malware), 900)),
            // What decides nothing gives way to all that does.
            (word(Analyst, Unknown), word(YaraX, Pua)),
            (by(word(List, Clean), KnownBy::Md5), word(YaraX, Pua)),
        ];
        for (loser, winner) in table {
            for both in [[&loser, &winner], [&winner, &loser]] {
                let both = both.map(Clone::clone);
                assert_eq!(decide(&both), Some(&winner), "{loser:?} against {winner:?}");
            }
        }
    }

    #[test]
    fn what_decides_nothing_leaves_it_unknown() {
        let md5 = Determination { known_by: KnownBy::Md5, ..word(Source::List, DeterminationType::Clean) };
        let provenance = word(Source::Provenance, DeterminationType::Clean);
        let withdrawn = word(Source::Analyst, DeterminationType::Unknown);
        assert_eq!(decide(&[md5, provenance, withdrawn]), None);
        assert_eq!(decide(&[]), None);
        // By SHA-1 it is: NSRL's lists have nothing longer.
        let sha1 = Determination { known_by: KnownBy::Sha1, ..word(Source::List, DeterminationType::Clean) };
        assert_eq!(decide(std::slice::from_ref(&sha1)), Some(&sha1));
    }

    #[test]
    fn the_words_are_the_contracts() {
        assert_eq!(
            DeterminationType::ALL.map(DeterminationType::word),
            ["Unknown", "Clean", "Pua", "Malware"]
        );
        for one in DeterminationType::ALL {
            assert_eq!(DeterminationType::from_word(&one.word().to_lowercase()), Some(one));
        }
        assert_eq!(DeterminationType::from_word("evil"), None);
        for one in Source::ALL {
            assert_eq!(Source::from_word(one.word()), Some(one));
        }
    }

    fn any_word() -> impl Strategy<Value = Determination> {
        (0..4usize, 0..5usize, 0..3usize, 0..3i64, "[ab]").prop_map(|(kind, source, known_by, at, engine)| {
            Determination {
                at: Time::from_seconds(at),
                known_by: [KnownBy::Md5, KnownBy::Sha1, KnownBy::Sha256][known_by],
                engine,
                ..word(Source::ALL[source], DeterminationType::ALL[kind])
            }
        })
    }

    proptest! {
        #[test]
        fn the_order_in_which_words_come_does_not_matter(mut words in prop::collection::vec(any_word(), 0..6)) {
            let first = decide(&words).cloned();
            words.reverse();
            prop_assert_eq!(decide(&words).cloned(), first.clone());
            if let Some(first) = first {
                let strongest = words.iter().filter(|word| word.decides()).map(|word| word.source).min();
                prop_assert_eq!(Some(first.source), strongest);
            }
        }
    }
}
