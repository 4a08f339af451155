//! What a call needs.

use model::order::Want;

use super::errors::ApiError;
use crate::tokens::Identity;

/// What a call needs: one role of each clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A valid token; the handler asks for more.
    Token,
    /// To read what is known of files.
    FileRead,
    /// To read machines and what was done there.
    MachineRead,
    /// To block files, and end that.
    Block,
    /// To stop and quarantine, and undo that. Both clauses: the contract's page says one of three, its service
    /// wants two.
    Quarantine,
    /// To withdraw what was ordered on a machine, by the contract's road: it asks for no right to read.
    Cancel,
    /// To have a file's bytes brought to the server, and deleted there.
    Collect,
    /// To have the bytes.
    SampleRead,
    /// To say what a file is: our own role, named as the contract would.
    Judge,
    /// To import lists of digests, and remove them: the contract's indicators are lists too.
    Lists,
    /// To bring a signed approval: what lets go on what was ordered needs no less than to order something.
    Approve,
}

const MACHINE_READ: &[&str] = &["Machine.Read.All", "Machine.ReadWrite.All"];

impl Need {
    const fn clauses(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Token => &[],
            Self::FileRead => &[&["File.Read.All"]],
            Self::MachineRead => &[MACHINE_READ],
            Self::Judge => &[&["File.ReadWrite.All"]],
            Self::Block | Self::Lists => &[&["Ti.ReadWrite", "Ti.ReadWrite.All"]],
            Self::Approve => &[&["Ti.ReadWrite", "Ti.ReadWrite.All", "Machine.StopAndQuarantine"]],
            Self::Quarantine => &[&["Machine.StopAndQuarantine"], MACHINE_READ],
            Self::Collect => &[&["Machine.CollectFile"], MACHINE_READ],
            Self::SampleRead => &[&["Sample.Read.All"]],
            Self::Cancel => &[&["Machine.StopAndQuarantine"]],
        }
    }

    /// What giving an order needs, and so undoing or cancelling it.
    pub(super) const fn of(want: &Want) -> Self {
        match want {
            Want::Block(_) | Want::Unblock(_) => Self::Block,
            Want::Quarantine(..) | Want::Restore(..) => Self::Quarantine,
            Want::Collect(..) | Want::Discard(..) => Self::Collect,
        }
    }

    /// Refuses who lacks something, and names what.
    pub(super) fn check(self, identity: &Identity) -> Result<(), ApiError> {
        let held = |role: &&str| identity.roles.iter().any(|held| held == role);
        match self.clauses().iter().find(|clause| !clause.iter().any(held)) {
            None => Ok(()),
            Some(lacking) => {
                Err(ApiError::MissingRoles { needed: lacking.join(","), held: identity.roles.join(",") })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{OrganizationId, Time};
    use uuid::Uuid;

    fn with(roles: &[&str]) -> Identity {
        Identity {
            client: Uuid::nil(),
            organization: OrganizationId(Uuid::nil()),
            name: String::new(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            not_before: Time::from_seconds(0),
            expires: Time::from_seconds(0),
        }
    }

    #[test]
    fn each_need_is_met_by_the_roles_of_the_contract() {
        let table: &[(Need, &[&str], bool)] = &[
            (Need::Token, &[], true),
            (Need::FileRead, &["File.Read.All"], true),
            (Need::FileRead, &["Ti.ReadWrite.All"], false),
            (Need::MachineRead, &["Machine.Read.All"], true),
            (Need::MachineRead, &["Machine.ReadWrite.All"], true),
            (Need::MachineRead, &["File.Read.All"], false),
            (Need::Judge, &["File.ReadWrite.All"], true),
            (Need::Judge, &["File.Read.All", "Ti.ReadWrite.All"], false),
            (Need::Lists, &["Ti.ReadWrite.All"], true),
            (Need::Lists, &["File.ReadWrite.All"], false),
            (Need::Block, &["Ti.ReadWrite"], true),
            (Need::Block, &["Ti.ReadWrite.All"], true),
            (Need::Block, &["Ti.Read.All"], false),
            (Need::Approve, &["Machine.StopAndQuarantine"], true),
            (Need::Approve, &["Ti.ReadWrite"], true),
            (Need::Approve, &["Machine.ReadWrite.All", "File.Read.All"], false),
            (Need::Quarantine, &["Machine.StopAndQuarantine", "Machine.Read.All"], true),
            (Need::Quarantine, &["Machine.StopAndQuarantine", "Machine.ReadWrite.All"], true),
            (Need::Quarantine, &["Machine.StopAndQuarantine"], false),
            (Need::Quarantine, &["Machine.Read.All", "Machine.ReadWrite.All"], false),
            (Need::Cancel, &["Machine.StopAndQuarantine"], true),
            (Need::Cancel, &["Machine.Read.All"], false),
            (Need::Collect, &["Machine.CollectFile", "Machine.Read.All"], true),
            (Need::Collect, &["Machine.StopAndQuarantine", "Machine.Read.All", "Sample.Read.All"], false),
            (Need::SampleRead, &["Sample.Read.All"], true),
            (Need::SampleRead, &["File.Read.All", "Machine.CollectFile"], false),
        ];
        for (need, roles, met) in table {
            assert_eq!(need.check(&with(roles)).is_ok(), *met, "{need:?} {roles:?}");
        }
    }

    #[test]
    fn the_refusal_names_what_is_lacking_and_what_is_there() {
        let refusal = Need::Quarantine.check(&with(&["Machine.StopAndQuarantine", "File.Read.All"]));
        assert_eq!(
            refusal.unwrap_err().to_string(),
            "Missing application roles. API required roles: Machine.Read.All,Machine.ReadWrite.All, \
             application roles: Machine.StopAndQuarantine,File.Read.All."
        );
    }
}
