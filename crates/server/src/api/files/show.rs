//! `GET /api/files/{id}`: what is known of a file, by SHA-1 or SHA-256.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use model::facts::FileType;
use model::origin::Origin;
use wire::rest::{File, FileExtras, FileOrigin, InspectionFacts, InspectionWord, Judgements, Set, Stamp};

use super::determination;
use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::FileInPath;
use crate::api::errors::ApiError;
use crate::app::App;
use crate::store::{KnownFile, KnownInspection, KnownOrigin};

/// What is known of the file; 404 when no machine has seen it, even if it is blocked.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    FileInPath(id): FileInPath,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    let known = app.store.file(organization, id).await?;
    let mut known = known.ok_or_else(|| ApiError::not_found("File", id))?;
    let judged = std::mem::take(&mut known.judged);
    let judged = determination::words(&app, organization, judged).into();
    Ok(called.entity(Set::Files, shape(known, judged)))
}

fn shape(known: KnownFile, judged: Judgements) -> File {
    let record = known.inspection.as_ref().map(|inspection| &inspection.record);
    // What inspection read of it; before that, or where it could not, what its beginning said.
    let facts = record.map(|record| &record.facts).filter(|facts| facts.file_type != FileType::Unknown);
    let facts = facts.unwrap_or(&known.facts);
    let signature = record.and_then(|record| record.signature.as_ref());
    // Of a portable executable its own word alone counts.
    let origin = packaged(&known).filter(|_| !facts.is_pe());
    let (publisher, product) = origin.map(|origin| (origin.vendor.clone(), origin.package.clone())).unzip();
    File {
        sha1: known.digests.sha1,
        sha256: known.digests.sha256,
        md5: known.digests.md5,
        global_prevalence: known.prevalence,
        global_first_observed: Stamp(known.first_observed),
        global_last_observed: Stamp(known.last_observed),
        size: known.facts.size,
        file_type: facts.file_type,
        is_pe_file: facts.is_pe(),
        file_publisher: record.and_then(|record| record.publisher.clone()).or(publisher.flatten()),
        file_product_name: record.and_then(|record| record.product_name.clone()).or(product),
        signer: signature.and_then(|signature| signature.signer.clone()),
        issuer: signature.and_then(|signature| signature.issuer.clone()),
        signer_hash: signature.and_then(|signature| signature.signer_hash).map(|hash| hash.to_string()),
        is_valid_certificate: signature.map(|signature| signature.is_valid),
        determination_type: judged.determination_type,
        determination_value: judged.determination_value,
        quell: FileExtras {
            file_subtype: facts.subtype.clone(),
            present_on: known.present_on,
            denials: known.denials,
            blocked: !known.blocked.is_empty(),
            origins: known.origins.iter().map(shape_origin).collect(),
            facts: record.map(InspectionFacts::from),
            inspection: known.inspection.as_ref().map(word),
            determinations: judged.determinations,
        },
    }
}

/// The package that brought it on most machines. One whose file it is not has not brought it.
fn packaged(known: &KnownFile) -> Option<&Origin> {
    known.origins.iter().map(|known| &known.origin).find(|origin| origin.matches == Some(true))
}

fn shape_origin(known: &KnownOrigin) -> FileOrigin {
    FileOrigin { origin: known.origin.clone().into(), machines: known.machines }
}

fn word(inspection: &KnownInspection) -> InspectionWord {
    InspectionWord {
        version: inspection.version,
        reported_by: inspection.told_by.clone(),
        reported_at: Stamp(inspection.at),
        machines_agreeing: inspection.agreed,
        machines_disagreeing: inspection.disagreed,
        is_shortened: inspection.record.is_shortened,
    }
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};
    use model::inspection::{Carrier, Flaw, Inspection, Signature, VERSION};
    use model::origin::{Database, Origin};
    use model::{Sha1, facts};
    use serde_json::json;

    #[tokio::test]
    async fn what_inspection_says_is_told_and_null_until_then() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let path = format!("/api/files/{}", file(1).sha1);
        let before = scene.call("GET", &path, "").await.json();
        for key in ["filePublisher", "signer", "isValidCertificate"] {
            assert_eq!(before[key], json!(null), "{key}");
        }
        assert_eq!((&before["quell"]["facts"], &before["quell"]["inspection"]), (&json!(null), &json!(null)));

        let signature = Signature {
            signer: Some("Some\u{1b}body".to_owned()),
            issuer: Some("Some CA".to_owned()),
            signer_hash: Some(Sha1([0xab; 20])),
            is_valid: false,
            flaw: Some(Flaw::UntrustedRoot),
            carrier: Carrier::Embedded,
            digest: Some("sha256".to_owned()),
            stamped_at: None,
            stamp: None,
            chain: Vec::new(),
            uncovered_bytes: 0,
        };
        let record = Inspection {
            facts: facts::Facts {
                size: 42,
                file_type: facts::FileType::PortableExecutable,
                subtype: Some("Driver".to_owned()),
            },
            publisher: Some("Company".to_owned()),
            product_name: Some("Product".to_owned()),
            signature: Some(signature),
            ..Inspection::default()
        };
        scene.inspects(file(1), VERSION, record).await;
        let after = scene.call("GET", &path, "").await.json();
        for (key, value) in [
            ("fileType", json!("PortableExecutable")),
            ("isPeFile", json!(true)),
            ("filePublisher", json!("Company")),
            ("fileProductName", json!("Product")),
            ("signer", json!("Some\u{1b}body")),
            ("issuer", json!("Some CA")),
            ("signerHash", json!("ab".repeat(20))),
            ("isValidCertificate", json!(false)),
        ] {
            assert_eq!(after[key], value, "{key}");
        }
        let quell = &after["quell"];
        assert_eq!(quell["fileSubtype"], json!("Driver"));
        assert_eq!(quell["facts"]["flaw"], json!("untrustedRoot"));
        assert_eq!(quell["inspection"]["version"], json!(VERSION));
        assert_eq!(quell["inspection"]["machinesDisagreeing"], json!(0));
    }

    #[tokio::test]
    async fn a_seen_file_is_shown_by_either_hash_in_either_case() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let sha1 = file(1).sha1.to_string();
        let ids = [sha1.clone(), sha1.to_uppercase(), file(1).sha256.to_string().to_uppercase()];
        for id in ids {
            let answer = scene.call("GET", &format!("/api/files/{id}"), "").await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let json = answer.json();
            assert_eq!(json["sha1"], sha1);
            assert_eq!(json["md5"], file(1).md5.to_string());
            assert_eq!(json["globalPrevalence"], 1);
            assert_eq!(json["fileType"], "Elf");
            assert_eq!(json["quell"]["blocked"], false);
            assert_eq!(json["@odata.context"], "http://quell.test/api/$metadata#Files/$entity");
        }
        let answer = scene.call("GET", &format!("/testwdatppreview/files/{sha1}/"), "").await;
        let context = &answer.json()["@odata.context"];
        assert_eq!(context, "http://quell.test/testwdatppreview/$metadata#Files/$entity");
    }

    #[tokio::test]
    async fn the_package_that_brought_it_is_its_publisher_unless_it_differs() {
        let scene = Scene::new().await;
        let origin = |package: &str, matches| Origin {
            database: Database::Dpkg,
            package: package.to_owned(),
            version: "1-2".to_owned(),
            vendor: Some("Somebody".to_owned()),
            matches,
        };
        let path = format!("/api/files/{}", file(1).sha1);
        scene.sees_of(file(1), "/usr/bin/one", Some(origin("tampered", Some(false)))).await;
        let answer = scene.call("GET", &path, "").await.json();
        assert_eq!((&answer["filePublisher"], &answer["fileProductName"]), (&json!(null), &json!(null)));
        let told = json!([{
            "kind": "dpkg", "package": "tampered", "version": "1-2", "vendor": "Somebody", "matches": false,
            "machines": 1
        }]);
        assert_eq!(answer["quell"]["origins"], told);

        scene.sees_of(file(1), "/usr/bin/two", Some(origin("whole", Some(true)))).await;
        let answer = scene.call("GET", &path, "").await.json();
        assert_eq!(
            (&answer["filePublisher"], &answer["fileProductName"]),
            (&json!("Somebody"), &json!("whole"))
        );
        assert_eq!(answer["quell"]["origins"].as_array().unwrap().len(), 2);
        let copies = scene.call("GET", &format!("/api/quell/files/{}/copies", file(1).sha1), "").await.json();
        let names: Vec<_> =
            copies["value"].as_array().unwrap().iter().map(|copy| &copy["origin"]["matches"]).collect();
        assert!(names.contains(&&json!(false)) && names.contains(&&json!(true)), "{copies}");
    }

    #[tokio::test]
    async fn a_block_in_force_is_told() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let sha1 = file(1).sha1;
        scene.call("POST", &format!("/api/files/{sha1}/block"), r#"{"Comment":"c"}"#).await;
        let answer = scene.call("GET", &format!("/api/files/{sha1}"), "").await;
        assert_eq!(answer.json()["quell"]["blocked"], true);
    }

    #[tokio::test]
    async fn an_unseen_file_is_not_found_even_when_blocked() {
        let scene = Scene::new().await;
        let sha1 = file(2).sha1;
        scene.call("POST", &format!("/api/files/{sha1}/block"), r#"{"Comment":"c"}"#).await;
        let answer = scene.call("GET", &format!("/api/files/{sha1}"), "").await;
        answer.refuses(404, "ResourceNotFound", &format!("File {sha1} was not found"));
    }

    #[tokio::test]
    async fn what_is_no_hash_is_told_so() {
        let scene = Scene::new().await;
        for id in ["xyz", "d41d8cd98f00b204e9800998ecf8427e", &"g".repeat(40)] {
            let answer = scene.call("GET", &format!("/api/files/{id}"), "").await;
            answer.refuses(400, "InvalidHashValue", &format!("Hash value {id} is invalid"));
        }
    }

    #[tokio::test]
    async fn the_role_is_needed() {
        let scene = Scene::new().await;
        let token = scene.token_with(&["Machine.Read.All"]).await;
        let path = format!("/api/files/{}", file(1).sha1);
        let answer = scene.call_with(Some(&token), "GET", &path, "", &[]).await;
        answer.refuses(
            403,
            "Forbidden",
            "Missing application roles. API required roles: File.Read.All, application roles: Machine.Read.All.",
        );
    }
}
