//! What lies on a machine is inspected there, and the API tells what was found.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::filesystem::Filesystem;
use tests::sample::Sample;
use tests::up::{Options, Up, one_of, options};
use tests::{is_private, wait_for};

fn with_machine(test: impl FnOnce(&Options, Up, &Path)) {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::ext4();
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), filesystem.root());
    let up = Up::start(&options);
    test(&options, up, filesystem.root());
}

/// What the API says of a file, once it was inspected.
fn inspected(up: &Up, sha256: &str) -> Value {
    wait_for("the file's facts", Duration::from_secs(60), || {
        let (status, file) = up.api().get(&format!("/api/files/{sha256}"));
        (status == 200 && !file["quell"]["inspection"].is_null()).then_some(file)
    })
}

/// Waits until the server knows a file: longer than others do, since nothing here is about how long that takes.
fn wait_known(up: &Up, sha256: &str) {
    wait_for("the file to be known", Duration::from_secs(60), || {
        (up.api().get(&format!("/api/files/{sha256}")).0 == 200).then_some(())
    });
}

/// The process that inspects, if there is one now.
fn helper(up: &Up) -> Option<i32> {
    one_of(up.pid(), "inspect")
}

#[test]
fn a_program_has_its_facts_and_the_helper_goes_when_there_is_nothing_to_do() {
    with_machine(|_, up, root| {
        let (program, script) = (Sample::fresh(), Sample::of(b"#!/bin/sh\nexit 7\n".to_vec()));
        program.put(&root.join("program"));
        script.put(&root.join("script"));
        let found = inspected(&up, &program.sha256);
        assert_eq!(found["fileType"], json!("Elf"), "{found}");
        assert_eq!(found["quell"]["fileSubtype"], json!("Program"), "{found}");
        assert_eq!(found["quell"]["facts"]["outcome"], json!("whole"), "{found}");
        assert_eq!(found["isValidCertificate"], json!(null), "{found}");
        assert_eq!(inspected(&up, &script.sha256)["fileType"], json!("Script"));
        let shown = up.cli(&["file", "show", &program.sha256]);
        assert!(shown.lines().any(|line| line.contains("inspected") && line.contains(" on ")), "{shown}");
        wait_for("the helper to go", Duration::from_secs(30), || helper(&up).is_none().then_some(()));
        up.stop();
    });
}

#[test]
fn what_was_not_inspected_is_after_a_restart() {
    with_machine(|options, up, root| {
        let sample = Sample::fresh();
        sample.put(&root.join("program"));
        wait_known(&up, &sample.sha256);
        up.kill();
        let up = Up::start(options);
        assert_eq!(inspected(&up, &sample.sha256)["quell"]["facts"]["outcome"], json!("whole"));
        up.stop();
    });
}

#[test]
fn a_helper_that_is_killed_again_and_again_harms_nobody() {
    with_machine(|_, up, root| {
        for round in 0..5 {
            let sample = Sample::fresh();
            sample.put(&root.join(format!("program {round}")));
            wait_known(&up, &sample.sha256);
            if let Some(helper) = helper(&up) {
                let _ = kill_process(Pid::from_raw(helper).unwrap(), Signal::KILL);
            }
        }
        let last = Sample::fresh();
        last.put(&root.join("last"));
        assert_eq!(inspected(&up, &last.sha256)["quell"]["facts"]["outcome"], json!("whole"));
        up.stop();
    });
}

#[test]
fn a_quarantined_file_has_its_facts_and_so_has_one_that_nobody_reads() {
    with_machine(|_, up, root| {
        let sample = Sample::fresh();
        sample.put(&root.join("program"));
        wait_known(&up, &sample.sha256);
        let order = up.api().quarantine(up.field("machineId"), &sample.sha1);
        up.api().wait_order(order["id"].as_str().unwrap());
        assert_eq!(inspected(&up, &sample.sha256)["quell"]["facts"]["outcome"], json!("whole"));

        let large = root.join("large");
        fs::write(&large, "#!/bin/sh\n").unwrap();
        fs::File::options().write(true).open(&large).unwrap().set_len((1 << 30) + 4096).unwrap();
        let mut digest = <sha2::Sha256 as sha2::Digest>::new();
        std::io::copy(&mut fs::File::open(&large).unwrap(), &mut HashOf(&mut digest)).unwrap();
        let sha256: String =
            sha2::Digest::finalize(digest).iter().map(|byte| format!("{byte:02x}")).collect();
        let found = inspected(&up, &sha256);
        assert_eq!(found["quell"]["facts"]["outcome"], json!("too big"), "{found}");
        assert_eq!((&found["fileType"], &found["size"]), (&json!("Script"), &json!((1_u64 << 30) + 4096)));
        up.stop();
    });
}

/// Takes bytes in as they are copied.
struct HashOf<'a>(&'a mut sha2::Sha256);

impl std::io::Write for HashOf<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        sha2::Digest::update(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
