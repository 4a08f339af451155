//! The embedded store's files: who may read them, what is refused, and what only a hand in the database brings
//! about today.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use model::log::{Change, Position};
use model::{FileId, Generation, Sha1};
use server::clock::SystemClock;
use server::store::{Caller, Page, RuleDelta, Store, StoreError};

#[tokio::test]
async fn nobody_else_can_read_them() {
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("data");
    let store = Store::open(&directory, Arc::new(SystemClock)).unwrap();
    store.home("alpha").await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 1, "the write-ahead log is one of them: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn what_a_newer_quell_has_written_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("quell.db");
    drop(Store::open(directory.path(), Arc::new(SystemClock)).unwrap());
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let refused = Store::open(directory.path(), Arc::new(SystemClock)).err();
    assert!(matches!(refused, Some(StoreError::NewerSchema { found: 99, .. })), "{refused:?}");
}

#[test]
fn what_is_no_database_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("quell.db");
    let letter = "Dear reader, this is a letter and no database. ".repeat(100);
    std::fs::write(&path, &letter).unwrap();
    let refused = Store::open(directory.path(), Arc::new(SystemClock)).err();
    assert!(matches!(refused, Some(StoreError::Database(_))), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), letter);
}

#[tokio::test]
async fn a_rule_ends_when_its_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Arc::new(SystemClock)).unwrap();
    let organization = store.home("alpha").await.unwrap().organization;
    let by = Caller { organization, name: "tests".to_owned(), from: String::new(), confirms: false };
    let block = store.block(&by, FileId::Sha1(Sha1([1; 20])), "why".to_owned()).await.unwrap();
    store.expire().await.unwrap();
    assert_eq!(store.blocks(organization, Page::ALL).await.unwrap().len(), 1);
    let database = rusqlite::Connection::open(directory.path().join("quell.db")).unwrap();
    database.execute("UPDATE rule SET until = 1", []).unwrap();
    store.expire().await.unwrap();
    store.expire().await.unwrap();
    assert!(store.blocks(organization, Page::ALL).await.unwrap().is_empty());
    let log = store.log(organization, Generation(1), 10).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.change).collect::<Vec<_>>(), [Change::End(block.rule)]);
}

#[tokio::test]
async fn who_is_too_far_behind_gets_the_whole_set() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Arc::new(SystemClock)).unwrap();
    let home = store.home("alpha").await.unwrap();
    let database = rusqlite::Connection::open(directory.path().join("quell.db")).unwrap();
    database.execute("UPDATE organization SET generation = 10002", []).unwrap();
    let since = async |generation| {
        let from = Position { epoch: home.epoch, generation: Generation(generation) };
        store.rules_since(home.organization, home.machine, from).await.unwrap()
    };
    assert!(matches!(since(1).await, RuleDelta::Whole { .. }));
    assert!(matches!(since(2).await, RuleDelta::Delta { .. }));
}
