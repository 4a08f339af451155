//! The seeds' own requests, and their answers held against the seeds' examples.

use serde_json::json;

use crate::shape::{Liberties, assert_like};
use crate::world::World;

/// Seed 002.
const FILE: &str = r#"{
    "@odata.context": "https://api.security.microsoft.com/api/$metadata#Files/$entity",
    "sha1": "4388963aaa83afe2042a46a3c017ad50bdcdafb3",
    "sha256": "413c58c8267d2c8648d8f6384bacc2ae9c929b2b96578b6860b5087cd1bd6462",
    "globalPrevalence": 180022,
    "globalFirstObserved": "2017-09-19T03:51:27.6785431Z",
    "globalLastObserved": "2020-01-06T03:59:21.3229314Z",
    "size": 22139496,
    "fileType": "APP",
    "isPeFile": true,
    "filePublisher": "CHENGDU YIWO Tech Development Co., Ltd.",
    "fileProductName": "EaseUS MobiSaver for Android",
    "signer": "CHENGDU YIWO Tech Development Co., Ltd.",
    "issuer": "VeriSign Class 3 Code Signing 2010 CA",
    "signerHash": "6c3245d4a9bc0244d99dff27af259cbbae2e2d16",
    "isValidCertificate": false,
    "determinationType": "Pua",
    "determinationValue": "PUA:Win32/FusionCore"
}"#;

/// Seed 000.
const BLOCK: &str = r#"{
    "fileIdentifier": "7327b54fd718525cbca07dacde913b5ac3c85673",
    "fileIdentifierType": "Sha1",
    "actionType": "Block",
    "fileStatus": "Blocked",
    "creationDateTimeUtc": "2017-12-04T13:06:23.4502191Z",
    "requestor": "Analyst@contoso.com ",
    "requestorComment": "test",
    "cancellationDateTimeUtc": null,
    "cancellationRequestor": null,
    "cancellationComment": null,
    "lastUpdateDateTimeUtc": "2017-12-04T13:06:23.4502191Z"
}"#;

/// Seed 001, without the comma after its last copy.
const QUARANTINE: &str = r#"{
    "@odata.context": "https://graph.microsoft.com/testwdatppreview/$metadata#FileMachineActions/$entity",
    "id": "6f1d364c-680c-499a-b30c-dd9265ad4c9d",
    "sha1": "87662bc3d60e4200ceaf7aae249d1c343f4b83c9",
    "type": "StopAndQuarantineFile",
    "requestor": "Analyst@contoso.com ",
    "requestorComment": " Stop and quarantine file on machine due to alert 32123",
    "status": "InProgress",
    "fileId": "87662bc3d60e4200ceaf7aae249d1c343f4b83c9",
    "machineId": "f46b9bb259ed4a7fb9981b73510e3cc7aa81ec1f",
    "creationDateTimeUtc": "2017-12-04T13:13:26.2106524Z",
    "lastUpdateDateTimeUtc": "2017-12-04T13:13:58.8098277Z",
    "fileInstances": [
        {"filePath": "C:\\Users\\ testUser \\Downloads\\elma.exe", "status": "InProgress"}
    ]
}"#;

#[test]
fn get_file_information() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["sample"]);
    let answer = world.get(&format!("/api/files/{}", sample.sha1));
    let file = answer.is(200);
    // An ELF has neither signer nor publisher; the digest by MD5 stood in the first generation's answer.
    let liberties = Liberties {
        extra: &["md5", "quell"],
        nullable: &[
            "filePublisher",
            "fileProductName",
            "signer",
            "issuer",
            "signerHash",
            "isValidCertificate",
            "determinationValue",
        ],
    };
    assert_like(FILE, &answer.text, liberties);
    assert_eq!(file["@odata.context"], "http://quell.test:8080/api/$metadata#Files/$entity");
    assert_eq!((&file["sha1"], &file["sha256"]), (&json!(sample.sha1), &json!(sample.sha256)));
    assert_eq!((&file["globalPrevalence"], &file["size"]), (&json!(1), &json!(sample.bytes.len())));
    assert_eq!((&file["fileType"], &file["isPeFile"]), (&json!("Elf"), &json!(false)));
    assert_eq!(file["determinationType"], "Unknown");
    let observed = ["globalFirstObserved", "globalLastObserved"].map(|key| file[key].as_str().unwrap());
    assert!(observed[0][..19] <= observed[1][..19], "{observed:?}");
    // By the other hash it is the same file, to the last byte.
    assert_eq!(world.get(&format!("/api/files/{}", sample.sha256)).text, answer.text);
    world.up.stop();
}

#[test]
fn block_file() {
    let Some(world) = World::start() else { return };
    let request = world
        .request("POST", "/api/files/7327b54fd718525cbca07dacde913b5ac3c85673/block")
        .header("Content-type", "application/json")
        .body("{\n  \"Comment\": \"Block file due to alert 32123\"\n}\n\n");
    let answer = request.send(&world.address);
    let action = answer.is(201);
    assert_like(BLOCK, &answer.text, Liberties::default());
    for key in ["fileIdentifier", "fileIdentifierType", "actionType", "fileStatus"] {
        let example: serde_json::Value = serde_json::from_str(BLOCK).unwrap();
        assert_eq!(action[key], example[key], "{key}");
    }
    assert_eq!(action["requestorComment"], "Block file due to alert 32123");
    assert_eq!(action["creationDateTimeUtc"], action["lastUpdateDateTimeUtc"]);
    world.up.stop();
}

#[test]
fn stop_and_quarantine_file() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["elma", "elma (2).partial"]);
    let comment = "Stop and quarantine file on machine due to alert 32123";
    let path = format!("/testwdatppreview/machines/{}/stopAndQuarantineFile", world.machine());
    let body = format!("{{\n  \"Comment\": \"{comment}\",\n  \"Sha1\": \"{}\"\n}}\n", sample.sha1);
    let answer = world.request("POST", &path).header("Content-type", "application/json").body(body);
    let answer = answer.send(&world.address);
    let action = answer.is(201);
    assert_like(QUARANTINE, &answer.text, Liberties::default());
    let context = "http://quell.test:8080/testwdatppreview/$metadata#FileMachineActions/$entity";
    assert_eq!(action["@odata.context"], context);
    assert_eq!((&action["sha1"], &action["fileId"]), (&json!(sample.sha1), &json!(sample.sha1)));
    assert_eq!((&action["type"], &action["status"]), (&json!("StopAndQuarantineFile"), &json!("InProgress")));
    assert_eq!(
        (&action["machineId"], &action["requestorComment"]),
        (&json!(world.machine()), &json!(comment))
    );
    // Both copies stand in the first answer already, and then fare each for itself.
    let copy = |name: &str, status: &str| json!({"filePath": world.root().join(name), "status": status});
    let both = |status| json!([copy("elma", status), copy("elma (2).partial", status)]);
    assert_eq!(action["fileInstances"], both("InProgress"));
    let path = format!("/testwdatppreview/filemachineactions/{}", action["id"].as_str().unwrap());
    let ended = world.wait_status(&path);
    assert_eq!((&ended["status"], &ended["fileInstances"]), (&json!("Succeeded"), &both("Succeeded")));
    assert_like(QUARANTINE, &world.get(&path).text, Liberties::default());
    world.up.stop();
}
