//! The organization's log: every change of anyone's rules, gapless, chained by hash.

use model::log::{Change, Entry, Position};
use model::rule::Rule;
use model::{Generation, MachineId, OrganizationId, RuleId};
use rusqlite::{Connection, Row, params};
use sha2::{Digest, Sha256};

use super::columns::{int, of_identifier, of_scope, rule, uint};
use super::tx::Tx;
use super::{machines, organizations, rules};
use crate::hints::Hint;
use crate::store::{RuleDelta, StoreError};

/// A machine further behind than this gets all rules instead of what changed.
const FAR_BEHIND: u64 = 10_000;

/// Which of the two things happens to a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Begins,
    Ends,
}

impl Turn {
    const fn word(self) -> &'static str {
        match self {
            Self::Begins => "begin",
            Self::Ends => "end",
        }
    }

    fn of(self, rule: &Rule) -> Change {
        match self {
            Self::Begins => Change::Begin(*rule),
            Self::Ends => Change::End(rule.id),
        }
    }
}

/// Adds an entry and wakes the machines; its generation comes back.
pub(super) fn append(
    tx: &Tx<'_>,
    organization: i64,
    turn: Turn,
    rule: &Rule,
) -> rusqlite::Result<Generation> {
    let before = organizations::numbered(tx, organization)?;
    let generation = Generation(before.head.generation.0 + 1);
    let chained = wire::link::rules::chained_bytes(generation, &turn.of(rule));
    let chain: [u8; 32] = Sha256::new().chain_update(before.chain).chain_update(chained).finalize().into();
    let (identifier_kind, identifier) = of_identifier(&rule.identifier);
    let (scope_kind, scope) = of_scope(&rule.scope);
    tx.prepare_cached(
        "INSERT INTO log (organization, epoch, generation, change, id, effect, identifier_kind, identifier,
                          scope_kind, scope, until, at, chain)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        organization,
        int(before.head.epoch.0),
        int(generation.0),
        turn.word(),
        int(rule.id.0),
        rule.effect.word(),
        identifier_kind,
        identifier,
        scope_kind,
        scope,
        rule.until.map(model::Time::ticks),
        tx.now.ticks(),
        chain
    ])?;
    organizations::advance(tx, organization, generation, &chain)?;
    tx.hint(Hint::LogMoved(before.id));
    Ok(generation)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let change = match row.get::<_, String>("change")?.as_str() {
        "begin" => Change::Begin(rule(row)?),
        _ => Change::End(RuleId(uint(row, "id")?)),
    };
    Ok(Entry { generation: Generation(uint(row, "generation")?), change, chain: row.get("chain")? })
}

/// The whole log's entries that follow `after`, whomever they concern.
pub(in crate::store) fn since(
    connection: &Connection,
    organization: OrganizationId,
    after: Generation,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let organization = organizations::get(connection, organization)?;
    let mut rows = connection.prepare_cached(
        "SELECT * FROM log WHERE organization = ?1 AND epoch = ?2 AND generation > ?3
         ORDER BY generation LIMIT ?4",
    )?;
    let entries = rows.query_map(
        params![organization.number, int(organization.head.epoch.0), int(after.0), limit],
        entry,
    )?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// What a machine at `from` needs to have the rules of today, as far as they concern it.
pub(in crate::store) fn for_machine(
    connection: &Connection,
    organization: OrganizationId,
    machine: MachineId,
    from: Position,
) -> Result<RuleDelta, StoreError> {
    let organization = organizations::get(connection, organization)?;
    machines::known(connection, organization.number, machine)?;
    let head = organization.head;
    let same_log = from.epoch == head.epoch && from.generation <= head.generation;
    if !same_log || head.generation.0 - from.generation.0 > FAR_BEHIND {
        return Ok(RuleDelta::Whole {
            epoch: head.epoch,
            to: head.generation,
            rules: rules::concerning(connection, organization.number, machine)?,
            chain: organization.chain,
        });
    }
    let mut rows = connection.prepare_cached(
        "SELECT * FROM log WHERE organization = ?1 AND epoch = ?2 AND generation > ?3
             AND (scope_kind = 'organization' OR scope_kind = 'machine' AND scope = ?4)
         ORDER BY generation",
    )?;
    let entries = rows
        .query_map(params![organization.number, int(head.epoch.0), int(from.generation.0), machine.0], entry)?
        .collect::<Result<_, _>>()?;
    Ok(RuleDelta::Delta {
        epoch: head.epoch,
        from: from.generation,
        to: head.generation,
        entries,
        chain: organization.chain,
    })
}
