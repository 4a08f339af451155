//! Landlock, for processes that look at what others have written.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

/// Leaves this process nothing but reading of files, as far as the kernel knows how to: no writing, no connections, no
/// signals.
///
/// # Errors
/// When the kernel has no Landlock.
pub(crate) fn to_reading() -> Result<(), RulesetError> {
    let reading: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    match PathFd::new("/") {
        Ok(root) => rules()?.add_rule(PathBeneath::new(root, reading))?.restrict_self().map(drop),
        // Nothing could be read then.
        Err(_) => Ok(()),
    }
}

/// As [`to_reading`], without any path at all.
///
/// # Errors
/// When the kernel has no Landlock.
pub(crate) fn to_nothing() -> Result<(), RulesetError> {
    rules()?.restrict_self().map(drop)
}

fn rules() -> Result<RulesetCreated, RulesetError> {
    let abi = ABI::V6;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()
}
