//! Rules: standing will, one row each, in force until an entry of the log ends it.

use model::rule::{Effect, Identifier, Rule, Scope};
use model::{Digests, FileId, Generation, MachineId, OrderId, RuleId, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit::{self, Actor};
use super::columns::{int, of_identifier, of_scope, rule, uint, word};
use super::log::{self, Turn};
use super::tx::Tx;
use super::wanting;

/// A rule of the store: what it says, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) rule: Rule,
    pub(super) began: Generation,
    pub(super) ended: Option<Generation>,
}

/// What a new rule is to say. All of it denies, today.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deny {
    pub(super) file: FileId,
    pub(super) scope: Scope,
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    Ok(Standing {
        rule: rule(row)?,
        began: Generation(uint(row, "began_generation")?),
        ended: row
            .get::<_, Option<i64>>("ended_generation")?
            .map(|generation| Generation(generation.unsigned_abs())),
    })
}

/// A rule by its name, in force or ended.
pub(super) fn get(
    connection: &Connection,
    organization: i64,
    id: RuleId,
) -> rusqlite::Result<Option<Standing>> {
    connection
        .prepare_cached("SELECT * FROM rule WHERE organization = ?1 AND id = ?2")?
        .query_row(params![organization, int(id.0)], standing)
        .optional()
}

/// The rule in force that says exactly this.
pub(super) fn in_force(
    connection: &Connection,
    organization: i64,
    deny: &Deny,
) -> rusqlite::Result<Option<Standing>> {
    let identifier = Identifier::from(deny.file);
    let (identifier_kind, identifier) = of_identifier(&identifier);
    let (scope_kind, scope) = of_scope(&deny.scope);
    connection
        .prepare_cached(
            "SELECT * FROM rule WHERE organization = ?1 AND identifier_kind = ?2 AND identifier = ?3
                 AND scope_kind = ?4 AND scope = ?5 AND effect = ?6 AND ended_generation IS NULL",
        )?
        .query_row(
            params![organization, identifier_kind, identifier, scope_kind, scope, Effect::Deny.word()],
            standing,
        )
        .optional()
}

/// The rules in force that deny a file somewhere. Three equalities, each one step in an index: every look-up
/// of a file asks this, and must not take longer the more rules there are.
pub(super) fn that_deny(
    connection: &Connection,
    organization: i64,
    digests: &Digests,
) -> rusqlite::Result<Vec<RuleId>> {
    let mut rows = connection.prepare_cached(
        "SELECT id, effect FROM rule INDEXED BY rule_in_force
             WHERE organization = ?1 AND identifier_kind = 'sha256' AND identifier = ?2
                 AND ended_generation IS NULL
         UNION ALL SELECT id, effect FROM rule INDEXED BY rule_in_force
             WHERE organization = ?1 AND identifier_kind = 'sha1' AND identifier = ?3
                 AND ended_generation IS NULL
         UNION ALL SELECT id, effect FROM rule INDEXED BY rule_in_force
             WHERE organization = ?1 AND identifier_kind = 'md5' AND identifier = ?4
                 AND ended_generation IS NULL
         ORDER BY id",
    )?;
    let of_this_file = params![organization, digests.sha256.0, digests.sha1.0, digests.md5.0];
    let rows = rows.query_map(of_this_file, |row| {
        Ok((RuleId(uint(row, "id")?), word(row, "effect", Effect::from_word)?))
    })?;
    let rules = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(rules.into_iter().filter(|(_, effect)| effect.denies()).map(|(id, _)| id).collect())
}

/// The rules in force that a machine must know.
pub(super) fn concerning(
    connection: &Connection,
    organization: i64,
    machine: MachineId,
) -> rusqlite::Result<Vec<Rule>> {
    connection
        .prepare_cached(
            "SELECT * FROM rule WHERE organization = ?1 AND ended_generation IS NULL
                 AND (scope_kind = 'organization' OR scope_kind = 'machine' AND scope = ?2)
             ORDER BY id",
        )?
        .query_map(params![organization, machine.0], rule)?
        .collect()
}

/// The rules in force whose time is over, with their organizations.
pub(super) fn overdue(connection: &Connection, now: Time) -> rusqlite::Result<Vec<(i64, Rule)>> {
    connection
        .prepare_cached(
            "SELECT * FROM rule WHERE ended_generation IS NULL AND until IS NOT NULL AND until <= ?1
             ORDER BY organization, id",
        )?
        .query_map([now.ticks()], |row| Ok((row.get("organization")?, rule(row)?)))?
        .collect()
}

/// Why a rule changes.
pub(super) struct Cause<'a> {
    pub(super) by: &'a Actor,
    pub(super) comment: &'a str,
}

/// Makes the deny, or renews the comment of the one that is in force already: asking twice is not a second
/// rule and no change of anyone's rules.
pub(super) fn deny(
    tx: &Tx<'_>,
    organization: i64,
    deny: &Deny,
    order: OrderId,
    cause: &Cause<'_>,
) -> rusqlite::Result<Standing> {
    if let Some(standing) = in_force(tx, organization, deny)? {
        renew(tx, organization, standing.rule.id, order, cause)?;
        return Ok(standing);
    }
    let id: i64 = tx
        .prepare_cached(
            "UPDATE organization SET last_rule = last_rule + 1 WHERE number = ?1 RETURNING last_rule",
        )?
        .query_row([organization], |row| row.get(0))?;
    let rule = Rule {
        id: RuleId(id.unsigned_abs()),
        effect: Effect::Deny,
        identifier: Identifier::from(deny.file),
        scope: deny.scope,
        until: None,
    };
    let began = log::append(tx, organization, Turn::Begins, &rule)?;
    let (identifier_kind, identifier) = of_identifier(&rule.identifier);
    let (scope_kind, scope) = of_scope(&rule.scope);
    tx.prepare_cached(
        "INSERT INTO rule (organization, id, effect, identifier_kind, identifier, scope_kind, scope, until,
                           created, updated, requestor, comment, \"order\", began_generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        organization,
        id,
        rule.effect.word(),
        identifier_kind,
        identifier,
        scope_kind,
        scope,
        rule.until.map(Time::ticks),
        tx.now.ticks(),
        cause.by.who,
        cause.comment,
        order.0.as_bytes(),
        int(began.0)
    ])?;
    audit::write(tx, organization, cause.by, "rule.begin", &rule.id.to_string(), cause.comment)?;
    Ok(Standing { rule, began, ended: None })
}

/// The newest word about a rule in force.
pub(super) fn renew(
    tx: &Tx<'_>,
    organization: i64,
    id: RuleId,
    order: OrderId,
    cause: &Cause<'_>,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE rule SET updated = ?3, requestor = ?4, comment = ?5, \"order\" = ?6
         WHERE organization = ?1 AND id = ?2",
    )?
    .execute(params![
        organization,
        int(id.0),
        tx.now.ticks(),
        cause.by.who,
        cause.comment,
        order.0.as_bytes()
    ])
    .map(drop)
}

/// Ends a rule that is in force, whoever wants it; the generation that ends it comes back.
pub(super) fn end(
    tx: &Tx<'_>,
    organization: i64,
    rule: &Rule,
    cause: &Cause<'_>,
) -> rusqlite::Result<Generation> {
    let ended = log::append(tx, organization, Turn::Ends, rule)?;
    tx.prepare_cached(
        "UPDATE rule SET ended_generation = ?3, updated = ?4, cancelled_at = ?4, cancelled_by = ?5,
             cancelled_comment = ?6
         WHERE organization = ?1 AND id = ?2",
    )?
    .execute(params![
        organization,
        int(rule.id.0),
        int(ended.0),
        tx.now.ticks(),
        cause.by.who,
        cause.comment
    ])?;
    wanting::drop_all(tx, organization, rule.id)?;
    audit::write(tx, organization, cause.by, "rule.end", &rule.id.to_string(), cause.comment)?;
    Ok(ended)
}
