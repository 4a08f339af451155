//! `File`: what is known of a file.

use model::facts::FileType;
use model::{Md5, Sha1, Sha256};
use serde::{Serialize, Serializer};

use super::determination::Judgement;
use super::inspection::InspectionFacts;
use super::origin::FileOrigin;
use super::text::{Stamp, text};

/// What is known of a file. Every key is always there.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// SHA-1 of its content.
    #[serde(serialize_with = "text")]
    pub sha1: Sha1,
    /// SHA-256 of its content.
    #[serde(serialize_with = "text")]
    pub sha256: Sha256,
    /// MD5 of its content. Gone from the newest pages of the contract, still on its wire.
    #[serde(serialize_with = "text")]
    pub md5: Md5,
    /// On how many machines it was seen.
    pub global_prevalence: u64,
    /// When it was first seen.
    pub global_first_observed: Stamp,
    /// When it was last seen.
    pub global_last_observed: Stamp,
    /// Its length in bytes.
    pub size: u64,
    /// What it is.
    #[serde(serialize_with = "word")]
    pub file_type: FileType,
    /// Whether it is a Windows portable executable; never null.
    pub is_pe_file: bool,
    /// Who published it, by its own word.
    pub file_publisher: Option<String>,
    /// To what product it belongs, by its own word.
    pub file_product_name: Option<String>,
    /// Who signed it.
    pub signer: Option<String>,
    /// Who vouches for the signer.
    pub issuer: Option<String>,
    /// SHA-1 of the signer's certificate.
    pub signer_hash: Option<String>,
    /// Whether the signature was verified; null when there is none.
    pub is_valid_certificate: Option<bool>,
    /// What it is judged to be: `Unknown` until something judges.
    pub determination_type: &'static str,
    /// The name of the threat.
    pub determination_value: Option<String>,
    /// What the contract has no key for.
    pub quell: FileExtras,
}

/// What the contract has no key for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileExtras {
    /// Finer than `fileType`.
    pub file_subtype: Option<String>,
    /// On how many machines a copy lies now, as far as they have told; `globalPrevalence` counts those that ever had one.
    pub present_on: u64,
    /// How often its execution was refused.
    pub denials: u64,
    /// Whether a rule in force denies it.
    pub blocked: bool,
    /// The packages that brought its copies, the commonest first; at most 64.
    pub origins: Vec<FileOrigin>,
    /// Every word about it, the one that counts first.
    pub determinations: Vec<Judgement>,
    /// What its bytes say beyond the contract's keys; null until a machine has inspected it.
    pub facts: Option<InspectionFacts>,
    /// Whose word that is; null until then.
    pub inspection: Option<InspectionWord>,
}

/// By whose word a file's facts are known.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectionWord {
    /// Version of what inspection makes, on that machine.
    pub version: u32,
    /// Name of the machine that said it first.
    pub reported_by: String,
    /// When it did.
    pub reported_at: Stamp,
    /// Other machines that said the same.
    pub machines_agreeing: u64,
    /// Other machines that said otherwise; the audit names them.
    pub machines_disagreeing: u64,
    /// There was more to say than a record holds.
    pub is_shortened: bool,
}

fn word<S: Serializer>(file_type: &FileType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(file_type.word())
}

#[cfg(test)]
mod tests {
    use super::super::{Entity, Root, Set};
    use super::*;
    use model::Time;
    use model::origin::{Database, Origin};

    #[test]
    fn the_keys_are_those_of_the_seed_in_its_order() {
        let origin = Origin {
            database: Database::Dpkg,
            package: "bash".into(),
            version: "5.2-1".into(),
            vendor: Some("Somebody".into()),
            matches: Some(false),
        };
        let file = File {
            sha1: Sha1([0x11; 20]),
            sha256: Sha256([0x22; 32]),
            md5: Md5([0x33; 16]),
            global_prevalence: 180_022,
            global_first_observed: Stamp(Time::from_ticks(15_058_002_876_785_431)),
            global_last_observed: Stamp(Time::from_seconds(1_578_283_199)),
            size: 22_139_496,
            file_type: FileType::PortableExecutable,
            is_pe_file: true,
            file_publisher: None,
            file_product_name: None,
            signer: None,
            issuer: None,
            signer_hash: None,
            is_valid_certificate: None,
            determination_type: "Unknown",
            determination_value: None,
            quell: FileExtras {
                file_subtype: Some("Program".into()),
                present_on: 1,
                denials: 3,
                blocked: true,
                origins: vec![FileOrigin { origin: origin.into(), machines: 2 }],
                determinations: Vec::new(),
                facts: None,
                inspection: Some(InspectionWord {
                    version: 1,
                    reported_by: "alpha".into(),
                    reported_at: Stamp(Time::from_seconds(1_578_283_199)),
                    machines_agreeing: 1,
                    machines_disagreeing: 0,
                    is_shortened: false,
                }),
            },
        };
        let answer = Entity::new("https://api.security.microsoft.com", Root::Api, Set::Files, file);
        insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap(), @r##"
        {
          "@odata.context": "https://api.security.microsoft.com/api/$metadata#Files/$entity",
          "sha1": "1111111111111111111111111111111111111111",
          "sha256": "2222222222222222222222222222222222222222222222222222222222222222",
          "md5": "33333333333333333333333333333333",
          "globalPrevalence": 180022,
          "globalFirstObserved": "2017-09-19T05:51:27.6785431Z",
          "globalLastObserved": "2020-01-06T03:59:59Z",
          "size": 22139496,
          "fileType": "PortableExecutable",
          "isPeFile": true,
          "filePublisher": null,
          "fileProductName": null,
          "signer": null,
          "issuer": null,
          "signerHash": null,
          "isValidCertificate": null,
          "determinationType": "Unknown",
          "determinationValue": null,
          "quell": {
            "fileSubtype": "Program",
            "presentOn": 1,
            "denials": 3,
            "blocked": true,
            "origins": [
              {
                "kind": "dpkg",
                "package": "bash",
                "version": "5.2-1",
                "vendor": "Somebody",
                "matches": false,
                "machines": 2
              }
            ],
            "determinations": [],
            "facts": null,
            "inspection": {
              "version": 1,
              "reportedBy": "alpha",
              "reportedAt": "2020-01-06T03:59:59Z",
              "machinesAgreeing": 1,
              "machinesDisagreeing": 0,
              "isShortened": false
            }
          }
        }
        "##);
    }
}
