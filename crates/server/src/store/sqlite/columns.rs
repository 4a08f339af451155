//! Columns in the model's types.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use model::log::Position;
use model::order::Failure;
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{Digests, Epoch, FileId, Generation, GroupId, MachineId, Md5, RuleId, Sha1, Sha256, Time};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Error, Result, Row};
use uuid::Uuid;

/// A number as SQLite keeps it. Those that count things never reach the limit; those that come from outside
/// are clamped.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that counts.
pub(super) fn uint(row: &Row<'_>, name: &str) -> Result<u64> {
    row.get::<_, i64>(name).map(|number| u64::try_from(number).unwrap_or_default())
}

/// A moment.
pub(super) fn time(row: &Row<'_>, name: &str) -> Result<Time> {
    row.get(name).map(Time::from_ticks)
}

/// A GUID.
pub(super) fn guid(row: &Row<'_>, name: &str) -> Result<Uuid> {
    row.get(name).map(Uuid::from_bytes)
}

/// A GUID that may be missing.
pub(super) fn some_guid(row: &Row<'_>, name: &str) -> Result<Option<Uuid>> {
    row.get::<_, Option<[u8; 16]>>(name).map(|bytes| bytes.map(Uuid::from_bytes))
}

/// A path.
pub(super) fn path(row: &Row<'_>, name: &str) -> Result<PathBuf> {
    row.get(name).map(path_of)
}

/// The path that these bytes are.
pub(super) fn path_of(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

/// A path's bytes.
pub(super) fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// A word of a closed list.
pub(super) fn word<T>(row: &Row<'_>, name: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let text: String = row.get(name)?;
    read(&text).ok_or_else(|| unfamiliar(name, &text))
}

fn unfamiliar(column: &str, found: &str) -> Error {
    let source = FromSqlError::Other(format!("{found:?} in column {column}").into());
    Error::FromSqlConversionFailure(0, Type::Text, Box::new(source))
}

/// The columns `failure_code`, `failure_reason`.
pub(super) fn failure(row: &Row<'_>) -> Result<Option<Failure>> {
    failure_in(row, "failure_code", "failure_reason")
}

/// Why something failed, in two columns; none, if there is no reason.
pub(super) fn failure_in(row: &Row<'_>, code: &str, reason: &str) -> Result<Option<Failure>> {
    let code: Option<i32> = row.get(code)?;
    let reason: Option<String> = row.get(reason)?;
    Ok(reason.map(|reason| Failure { code: code.unwrap_or_default(), reason }))
}

/// The columns `sha256`, `sha1`, `md5`.
pub(super) fn digests(row: &Row<'_>) -> Result<Digests> {
    Ok(Digests {
        sha256: Sha256(row.get("sha256")?),
        sha1: Sha1(row.get("sha1")?),
        md5: Md5(row.get("md5")?),
    })
}

/// The columns `epoch`, `generation`.
pub(super) fn position(row: &Row<'_>) -> Result<Position> {
    Ok(Position { epoch: Epoch(uint(row, "epoch")?), generation: Generation(uint(row, "generation")?) })
}

/// The column that holds that kind of name, and the name.
pub(super) fn of_file(file: &FileId) -> (&'static str, &[u8]) {
    match file {
        FileId::Sha1(sha1) => ("sha1", &sha1.0),
        FileId::Sha256(sha256) => ("sha256", &sha256.0),
    }
}

/// The columns `file_kind`, `file`.
pub(super) fn file(row: &Row<'_>) -> Result<FileId> {
    let kind: String = row.get("file_kind")?;
    match kind.as_str() {
        "sha1" => Ok(FileId::Sha1(Sha1(row.get("file")?))),
        "sha256" => Ok(FileId::Sha256(Sha256(row.get("file")?))),
        _ => Err(unfamiliar("file_kind", &kind)),
    }
}

/// The values of `identifier_kind`, `identifier`.
pub(super) fn of_identifier(identifier: &Identifier) -> (&'static str, &[u8]) {
    match identifier {
        Identifier::Sha256(sha256) => ("sha256", &sha256.0),
        Identifier::Sha1(sha1) => ("sha1", &sha1.0),
        Identifier::Md5(md5) => ("md5", &md5.0),
        Identifier::Signer(thumbprint) => ("signer", &thumbprint.0),
    }
}

fn identifier(row: &Row<'_>) -> Result<Identifier> {
    let kind: String = row.get("identifier_kind")?;
    Ok(match kind.as_str() {
        "sha256" => Identifier::Sha256(Sha256(row.get("identifier")?)),
        "sha1" => Identifier::Sha1(Sha1(row.get("identifier")?)),
        "md5" => Identifier::Md5(Md5(row.get("identifier")?)),
        "signer" => Identifier::Signer(Sha1(row.get("identifier")?)),
        _ => return Err(unfamiliar("identifier_kind", &kind)),
    })
}

/// The values of `scope_kind`, `scope`.
pub(super) fn of_scope(scope: &Scope) -> (&'static str, Vec<u8>) {
    match scope {
        Scope::Organization => ("organization", Vec::new()),
        Scope::Group(group) => ("group", group.0.to_be_bytes().to_vec()),
        Scope::Machine(machine) => ("machine", machine.0.to_vec()),
    }
}

fn scope(row: &Row<'_>) -> Result<Scope> {
    let kind: String = row.get("scope_kind")?;
    Ok(match kind.as_str() {
        "organization" => Scope::Organization,
        "group" => Scope::Group(GroupId(u64::from_be_bytes(row.get("scope")?))),
        "machine" => Scope::Machine(MachineId(row.get("scope")?)),
        _ => return Err(unfamiliar("scope_kind", &kind)),
    })
}

/// The columns of a rule: the same in the tables of rules and of the log.
pub(super) fn rule(row: &Row<'_>) -> Result<Rule> {
    Ok(Rule {
        id: RuleId(uint(row, "id")?),
        effect: word(row, "effect", Effect::from_word)?,
        identifier: identifier(row)?,
        scope: scope(row)?,
        until: row.get::<_, Option<i64>>("until")?.map(Time::from_ticks),
    })
}

/// Texts, one a line; a line break within one would make two of it.
pub(super) fn of_lines(lines: &[String]) -> String {
    lines.iter().map(|line| line.replace('\n', " ")).collect::<Vec<_>>().join("\n")
}

/// One text a line.
pub(super) fn lines(row: &Row<'_>, name: &str) -> Result<Vec<String>> {
    row.get::<_, String>(name).map(|text| text.lines().map(str::to_owned).collect())
}

/// Paths, each ended by a NUL, which no path can hold.
pub(super) fn of_paths(paths: &[PathBuf]) -> Vec<u8> {
    paths.iter().flat_map(|path| bytes_of(path).iter().copied().chain([0])).collect()
}

/// Paths, each ended by a NUL.
pub(super) fn paths(row: &Row<'_>, name: &str) -> Result<Vec<PathBuf>> {
    let bytes: Vec<u8> = row.get(name)?;
    Ok(bytes.split_inclusive(|byte| *byte == 0).map(|one| path_of(one[..one.len() - 1].to_vec())).collect())
}
