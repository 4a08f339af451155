//! What is spared as messages: between the helper and the agent, and from the agent to whoever asks.

use std::path::Path;

use wire::link::things::{Malformed, bytes_of, path_of};
use wire::link::v1;

use super::packages::Database;
use super::survey::{Finding, Findings, Unread};
use super::{SparedSet, State, Surveyed};

/// No reason or package name is longer.
const LONGEST: usize = 5000;

pub(super) fn survey(findings: &Findings) -> v1::Survey {
    let shape = |finding: &Finding| {
        let (database, package, state) = match &finding.package {
            Some((database, package, true)) => (database.word(), package.clone(), State::Matches),
            Some((database, package, false)) => (database.word(), package.clone(), State::Differs),
            None => ("", String::new(), State::Unrecorded),
        };
        v1::Surveyed {
            path: bytes_of(&finding.path),
            digests: Some((&finding.digests).into()),
            database: database.to_owned(),
            package,
            state: state.word().to_owned(),
            why: finding.why.clone(),
        }
    };
    let unread = |unread: &Unread| v1::Unread { path: bytes_of(&unread.path), why: unread.why.clone() };
    v1::Survey {
        surveyed: findings.findings.iter().map(shape).collect(),
        unreadable: findings.unreadable.clone(),
        unread: findings.unread.iter().map(unread).collect(),
    }
}

/// Nothing that does not make sense is believed.
pub(super) fn findings(survey: v1::Survey) -> Result<Findings, Malformed> {
    let read = |surveyed: v1::Surveyed| {
        let surveyed = Surveyed::try_from(surveyed)?;
        let package = match (surveyed.database, surveyed.state) {
            (Some(database), State::Matches) => Some((database, surveyed.package, true)),
            (Some(database), State::Differs) => Some((database, surveyed.package, false)),
            (None, State::Unrecorded) => None,
            _ => return Err(Malformed("state")),
        };
        Ok(Finding { path: surveyed.path, digests: surveyed.digests, package, why: surveyed.why })
    };
    if survey.unreadable.iter().any(|text| text.len() > LONGEST) || survey.unreadable.len() > 16 {
        return Err(Malformed("unreadable"));
    }
    let unread = |unread: v1::Unread| {
        let path = path_of(unread.path);
        let makes_sense = is_path(&path) && unread.why.len() <= LONGEST;
        if makes_sense { Ok(Unread { path, why: unread.why }) } else { Err(Malformed("unread")) }
    };
    let findings = survey.surveyed.into_iter().map(read).collect::<Result<_, _>>()?;
    let unread = survey.unread.into_iter().map(unread).collect::<Result<_, _>>()?;
    Ok(Findings { findings, unreadable: survey.unreadable, unread })
}

fn is_path(path: &Path) -> bool {
    path.is_absolute() && path.as_os_str().len() <= 4096
}

impl From<&Surveyed> for v1::Surveyed {
    fn from(surveyed: &Surveyed) -> Self {
        Self {
            path: bytes_of(&surveyed.path),
            digests: Some((&surveyed.digests).into()),
            database: surveyed.database.map_or("", Database::word).to_owned(),
            package: surveyed.package.clone(),
            state: surveyed.state.word().to_owned(),
            why: surveyed.why.clone(),
        }
    }
}

impl TryFrom<v1::Surveyed> for Surveyed {
    type Error = Malformed;

    fn try_from(surveyed: v1::Surveyed) -> Result<Self, Malformed> {
        let path = path_of(surveyed.path);
        // Two paths of the longest kind fit into a reason.
        if !is_path(&path) {
            return Err(Malformed("path"));
        }
        if surveyed.why.len() > LONGEST || surveyed.package.len() > LONGEST {
            return Err(Malformed("package"));
        }
        let database = match surveyed.database.as_str() {
            "" => None,
            word => Some(Database::from_word(word).ok_or(Malformed("database"))?),
        };
        if database.is_some() == surveyed.package.is_empty() {
            return Err(Malformed("package"));
        }
        Ok(Self {
            path,
            digests: surveyed.digests.as_ref().ok_or(Malformed("digests"))?.try_into()?,
            database,
            package: surveyed.package,
            state: State::from_word(&surveyed.state).ok_or(Malformed("state"))?,
            why: surveyed.why,
        })
    }
}

/// For the server.
pub(crate) fn told(set: &SparedSet) -> v1::SparedSet {
    v1::SparedSet {
        spared: set.spared().iter().map(Into::into).collect(),
        strange: set.strange().iter().map(Into::into).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Digests, Md5, Sha1, Sha256};

    fn some() -> Findings {
        let digests = Digests { sha256: Sha256([1; 32]), sha1: Sha1([2; 20]), md5: Md5([3; 16]) };
        let packages = [
            Some((Database::Rpm, "bash".to_owned(), true)),
            Some((Database::Dpkg, "dash".to_owned(), false)),
            None,
        ];
        let finding = |package| Finding {
            path: path_of(b"/bin/\xff\n".to_vec()),
            digests,
            package,
            why: "login shell".to_owned(),
        };
        let findings = packages.into_iter().map(finding).collect();
        let unread = vec![Unread { path: "/bin/ls".into(), why: "Input/output error".to_owned() }];
        Findings { findings, unreadable: vec!["rpm's database".to_owned()], unread }
    }

    #[test]
    fn what_the_helper_says_arrives() {
        assert_eq!(findings(survey(&some())), Ok(some()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let spoilt: [fn(&mut v1::Surveyed); 8] = [
            |one| one.path = b"bin/sh".to_vec(),
            |one| one.path = [b"/".as_slice(), &[b'x'; 5000]].concat(),
            |one| one.digests = None,
            |one| one.digests.as_mut().unwrap().sha256.truncate(31),
            |one| one.database = "portage".to_owned(),
            |one| one.package.clear(),
            |one| one.state = "unrecorded".to_owned(),
            |one| one.why = "x".repeat(LONGEST + 1),
        ];
        for (number, spoil) in spoilt.into_iter().enumerate() {
            let mut survey = survey(&some());
            spoil(&mut survey.surveyed[0]);
            assert!(findings(survey).is_err(), "{number}");
        }
        let mut survey = survey(&some());
        survey.unread[0].path = b"bin/ls".to_vec();
        assert!(findings(survey).is_err());
    }
}
