//! Files, sightings and what is spared, in and out.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::bypass::Bypass;
use model::facts::{Facts, FileType};
use model::origin::{Database, Origin};
use model::sighting::{Seen, Sighting};
use model::spared::{Record, Spared};
use model::{Digests, FileId, Names, RuleId, Time};

use super::v1;

/// A message from outside that does not say what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {0} is missing or wrong")]
pub struct Malformed(pub &'static str);

pub(super) fn fixed<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed(what))
}

/// A path's bytes, as they stand.
pub fn bytes_of(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

/// The path that these bytes are.
pub fn path_of(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

impl From<&Digests> for v1::Digests {
    fn from(digests: &Digests) -> Self {
        Self { sha256: digests.sha256.0.to_vec(), sha1: digests.sha1.0.to_vec(), md5: digests.md5.0.to_vec() }
    }
}

impl TryFrom<&v1::Digests> for Digests {
    type Error = Malformed;

    fn try_from(digests: &v1::Digests) -> Result<Self, Malformed> {
        Ok(Self {
            sha256: model::Sha256(fixed(&digests.sha256, "sha256")?),
            sha1: model::Sha1(fixed(&digests.sha1, "sha1")?),
            md5: model::Md5(fixed(&digests.md5, "md5")?),
        })
    }
}

impl From<&Names> for v1::Digests {
    fn from(names: &Names) -> Self {
        Self {
            sha256: names.sha256.0.to_vec(),
            sha1: names.sha1.map(|sha1| sha1.0.to_vec()).unwrap_or_default(),
            md5: names.md5.map(|md5| md5.0.to_vec()).unwrap_or_default(),
        }
    }
}

/// An empty digest was not computed.
impl TryFrom<&v1::Digests> for Names {
    type Error = Malformed;

    fn try_from(digests: &v1::Digests) -> Result<Self, Malformed> {
        let (sha1, md5) = (&digests.sha1, &digests.md5);
        Ok(Self {
            sha256: model::Sha256(fixed(&digests.sha256, "sha256")?),
            sha1: if sha1.is_empty() { None } else { Some(model::Sha1(fixed(sha1, "sha1")?)) },
            md5: if md5.is_empty() { None } else { Some(model::Md5(fixed(md5, "md5")?)) },
        })
    }
}

/// Its own name, the rule's and the reason are kept beside it.
impl From<&Bypass> for v1::Bypass {
    fn from(bypass: &Bypass) -> Self {
        Self {
            user: bypass.user,
            sha256: bypass.sha256.0.to_vec(),
            until: bypass.until.ticks(),
            ..Self::default()
        }
    }
}

impl TryFrom<&v1::Bypass> for Bypass {
    type Error = Malformed;

    fn try_from(bypass: &v1::Bypass) -> Result<Self, Malformed> {
        let sha256 = model::Sha256(fixed(&bypass.sha256, "sha256")?);
        Ok(Self { user: bypass.user, sha256, until: Time::from_ticks(bypass.until) })
    }
}

impl From<FileId> for v1::FileId {
    fn from(file: FileId) -> Self {
        let id = match file {
            FileId::Sha1(sha1) => v1::file_id::Id::Sha1(sha1.0.to_vec()),
            FileId::Sha256(sha256) => v1::file_id::Id::Sha256(sha256.0.to_vec()),
        };
        Self { id: Some(id) }
    }
}

impl TryFrom<&v1::FileId> for FileId {
    type Error = Malformed;

    fn try_from(file: &v1::FileId) -> Result<Self, Malformed> {
        match file.id.as_ref().ok_or(Malformed("file id"))? {
            v1::file_id::Id::Sha1(sha1) => Ok(Self::Sha1(model::Sha1(fixed(sha1, "sha1")?))),
            v1::file_id::Id::Sha256(sha256) => Ok(Self::Sha256(model::Sha256(fixed(sha256, "sha256")?))),
        }
    }
}

impl From<&Facts> for v1::Facts {
    fn from(facts: &Facts) -> Self {
        Self {
            size: facts.size,
            file_type: facts.file_type.word().to_owned(),
            subtype: facts.subtype.clone().unwrap_or_default(),
        }
    }
}

impl From<v1::Facts> for Facts {
    fn from(facts: v1::Facts) -> Self {
        Self {
            size: facts.size,
            file_type: FileType::from_word(&facts.file_type),
            subtype: Some(facts.subtype).filter(|subtype| !subtype.is_empty()),
        }
    }
}

impl From<&Sighting> for v1::Sighting {
    fn from(sighting: &Sighting) -> Self {
        let seen = match sighting.seen {
            Seen::AtRest => v1::sighting::Seen::AtRest(true),
            Seen::Running => v1::sighting::Seen::Running(true),
            Seen::Denied(rule) => v1::sighting::Seen::Denied(rule.0),
            Seen::DeniedLate(rule) => v1::sighting::Seen::DeniedLate(rule.0),
            Seen::Gone => v1::sighting::Seen::Gone(true),
            Seen::Traced => v1::sighting::Seen::Traced(true),
        };
        Self {
            digests: Some((&sighting.digests).into()),
            facts: Some((&sighting.facts).into()),
            path: bytes_of(&sighting.path),
            seen: Some(seen),
            age_ms: u64::try_from(sighting.age.as_millis()).unwrap_or(u64::MAX),
            origin: sighting.origin.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Sighting> for Sighting {
    type Error = Malformed;

    fn try_from(sighting: v1::Sighting) -> Result<Self, Malformed> {
        let seen = match sighting.seen.ok_or(Malformed("seen"))? {
            v1::sighting::Seen::AtRest(_) => Seen::AtRest,
            v1::sighting::Seen::Running(_) => Seen::Running,
            v1::sighting::Seen::Denied(rule) => Seen::Denied(RuleId(rule)),
            v1::sighting::Seen::DeniedLate(rule) => Seen::DeniedLate(RuleId(rule)),
            v1::sighting::Seen::Gone(_) => Seen::Gone,
            v1::sighting::Seen::Traced(_) => Seen::Traced,
        };
        Ok(Self {
            digests: sighting.digests.as_ref().ok_or(Malformed("digests"))?.try_into()?,
            facts: sighting.facts.ok_or(Malformed("facts"))?.into(),
            path: path_of(sighting.path),
            seen,
            origin: sighting.origin.map(TryInto::try_into).transpose()?,
            age: Duration::from_millis(sighting.age_ms),
        })
    }
}

impl From<&Origin> for v1::Origin {
    fn from(origin: &Origin) -> Self {
        Self {
            database: origin.database.word().to_owned(),
            package: origin.package.clone(),
            version: origin.version.clone(),
            vendor: origin.vendor.clone().unwrap_or_default(),
            matches: origin.matches,
        }
    }
}

impl TryFrom<v1::Origin> for Origin {
    type Error = Malformed;

    fn try_from(origin: v1::Origin) -> Result<Self, Malformed> {
        let v1::Origin { database, package, version, vendor, matches } = origin;
        if package.is_empty() || [&package, &version, &vendor].iter().any(|text| text.len() > Self::LONGEST) {
            return Err(Malformed("package"));
        }
        let database = Database::from_word(&database).ok_or(Malformed("database"))?;
        let vendor = Some(vendor).filter(|vendor| !vendor.is_empty());
        Ok(Self { database, package, version, vendor, matches })
    }
}

impl From<&Spared> for v1::Spared {
    fn from(spared: &Spared) -> Self {
        let package = match &spared.recorded_by {
            Record::Package(name) => name.clone(),
            Record::Baseline => String::new(),
        };
        Self { path: bytes_of(&spared.path), digests: Some((&spared.digests).into()), package }
    }
}

impl TryFrom<v1::Spared> for Spared {
    type Error = Malformed;

    fn try_from(spared: v1::Spared) -> Result<Self, Malformed> {
        let recorded_by =
            if spared.package.is_empty() { Record::Baseline } else { Record::Package(spared.package) };
        Ok(Self {
            path: path_of(spared.path),
            digests: spared.digests.as_ref().ok_or(Malformed("digests"))?.try_into()?,
            recorded_by,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sighting_comes_back_as_it_went() {
        let digests =
            Digests { sha256: model::Sha256([1; 32]), sha1: model::Sha1([2; 20]), md5: model::Md5([3; 16]) };
        let facts = Facts { size: 9, file_type: FileType::Elf, subtype: Some("Program".to_owned()) };
        let path = path_of(b"/tmp/new\nline\xff".to_vec());
        let origin = Some(Origin {
            database: Database::Rpm,
            package: "bash".to_owned(),
            version: "5.1-2".to_owned(),
            vendor: None,
            matches: Some(false),
        });
        for seen in [
            Seen::AtRest,
            Seen::Running,
            Seen::Denied(RuleId(4)),
            Seen::DeniedLate(RuleId(0)),
            Seen::Gone,
            Seen::Traced,
        ] {
            let sighting = Sighting {
                digests,
                facts: facts.clone(),
                path: path.clone(),
                seen,
                origin: origin.clone(),
                age: Duration::from_millis(5),
            };
            assert_eq!(Sighting::try_from(v1::Sighting::from(&sighting)), Ok(sighting));
        }
    }

    #[test]
    fn an_origin_without_sense_is_malformed() {
        let good = v1::Origin { database: "dpkg".into(), package: "bash".into(), ..v1::Origin::default() };
        assert_eq!(Origin::try_from(good.clone()).unwrap().matches, None);
        let spoilt = [
            v1::Origin { database: "portage".into(), ..good.clone() },
            v1::Origin { package: String::new(), ..good.clone() },
            v1::Origin { vendor: "x".repeat(Origin::LONGEST + 1), ..good },
        ];
        for origin in spoilt {
            assert!(Origin::try_from(origin).is_err());
        }
    }

    #[test]
    fn a_short_digest_is_malformed() {
        let short = v1::Digests { sha256: vec![1; 31], sha1: vec![2; 20], md5: vec![3; 16] };
        assert_eq!(Digests::try_from(&short), Err(Malformed("sha256")));
    }
}
