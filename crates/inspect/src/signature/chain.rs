//! A chain of certificates from a signer to a root that is trusted.

use std::collections::HashMap;

use model::Time;
use model::inspection::Flaw;

use super::cms::certificate::Certificate;
use super::cms::signed::Signer;
use crate::trust::{Purpose, Root, Trust};

/// Certificates in a chain, signer and root among them.
const LONGEST: usize = 8;
/// Signatures that are checked for one file. Same-named authorities that all vouch for each other make
/// the search exponential.
const MOST_CHECKS: u32 = 256;
/// Certificates that are looked at as the next of a chain, for one file.
const MOST_STEPS: u32 = 4096;

/// The best chain that was found.
#[derive(Clone, Debug)]
pub(crate) struct Chain<'a> {
    /// From the signer up, the root included if one was reached.
    pub(crate) certificates: Vec<Certificate<'a>>,
    /// What does not hold; none if all does.
    pub(crate) flaw: Option<Flaw>,
}

/// Looks for chains. One for a file, so that all its signatures share the bounds and what was checked already.
pub(crate) struct Finder<'a> {
    trust: &'a Trust,
    checks: u32,
    steps: u32,
    /// By the places of both certificates in memory.
    checked: HashMap<(usize, usize), Result<(), Flaw>>,
}

/// What a chain is looked for.
#[derive(Clone, Copy)]
struct Wanted<'p, 'a> {
    pool: &'p [Certificate<'a>],
    purpose: Purpose,
    at: Time,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(trust: &'a Trust) -> Self {
        Self { trust, checks: MOST_CHECKS, steps: MOST_STEPS, checked: HashMap::new() }
    }

    pub(crate) const fn trust(&self) -> &'a Trust {
        self.trust
    }

    /// Whether `leaf` has signed, if the bounds leave a check for it.
    pub(crate) fn has_signed(&mut self, leaf: &Certificate<'_>, signer: &Signer<'_>) -> Result<(), Flaw> {
        self.checks = self.checks.checked_sub(1).ok_or(Flaw::SignatureDiffers)?;
        signer.is_signed_by(leaf)
    }

    /// The best chain from `leaf` through `pool` to a root, for this purpose at this time. A candidate that fails is no
    /// end: every path is tried, within the bounds, until one holds.
    pub(crate) fn find(
        &mut self,
        leaf: Certificate<'a>,
        pool: &[Certificate<'a>],
        purpose: Purpose,
        at: Time,
    ) -> Chain<'a> {
        let mut best = Chain { certificates: vec![leaf], flaw: Some(Flaw::IncompleteChain) };
        self.extend(&mut vec![leaf], Wanted { pool, purpose, at }, &mut best);
        best
    }

    /// Tries everything that may come next on `path`, at most [`LONGEST`] deep.
    fn extend(&mut self, path: &mut Vec<Certificate<'a>>, wanted: Wanted<'_, 'a>, best: &mut Chain<'a>) {
        let Some(&last) = path.last() else { return };
        let trust = self.trust;
        for root in trust.roots_named(last.subject).filter(|root| root.certificate.raw == last.raw) {
            self.weigh(path, wanted, Some(&root), None, best);
        }
        if best.flaw.is_none() || path.len() >= LONGEST {
            return;
        }
        for root in trust.roots_named(last.issuer).filter(|root| root.certificate.raw != last.raw) {
            let checked = self.check(&last, &root.certificate);
            path.push(root.certificate);
            match checked {
                Ok(()) => self.weigh(path, wanted, Some(&root), None, best),
                Err(flaw) => self.weigh_broken(path, flaw, best),
            }
            path.pop();
        }
        for &next in wanted.pool.iter().filter(|next| next.subject == last.issuer) {
            if best.flaw.is_none() || self.steps == 0 {
                return;
            }
            self.steps = self.steps.saturating_sub(1);
            if path.iter().any(|one| one.raw == next.raw) {
                continue;
            }
            let checked = self.check(&last, &next);
            path.push(next);
            match checked {
                Ok(()) => self.extend(path, wanted, best),
                Err(flaw) => self.weigh_broken(path, flaw, best),
            }
            path.pop();
        }
        let end = if last.is_self_issued() { Flaw::UntrustedRoot } else { Flaw::IncompleteChain };
        self.weigh(path, wanted, None, Some(end), best);
    }

    /// Takes `path` for the best if it is better than what was found so far.
    fn weigh(
        &self,
        path: &[Certificate<'a>],
        wanted: Wanted<'_, 'a>,
        root: Option<&Root<'a>>,
        end: Option<Flaw>,
        best: &mut Chain<'a>,
    ) {
        let flaw = if end.is_some() { end } else { self.flaw(path, wanted, root) };
        let is_longer = best.certificates.len() == 1 && path.len() > 1;
        if rank(flaw) < rank(best.flaw) || is_longer && rank(flaw) == rank(best.flaw) {
            *best = Chain { certificates: path.to_vec(), flaw };
        }
    }

    /// A step that does not hold matters only where its algorithm is the reason: else the next only has the same name.
    fn weigh_broken(&self, path: &[Certificate<'a>], flaw: Flaw, best: &mut Chain<'a>) {
        if matches!(flaw, Flaw::WeakAlgorithm | Flaw::UnknownAlgorithm) && rank(Some(flaw)) < rank(best.flaw)
        {
            *best = Chain { certificates: path.to_vec(), flaw: Some(flaw) };
        }
    }

    fn flaw(
        &self,
        path: &[Certificate<'a>],
        wanted: Wanted<'_, 'a>,
        root: Option<&Root<'a>>,
    ) -> Option<Flaw> {
        if path.iter().any(|one| self.trust.disallows(one)) {
            return Some(Flaw::Disallowed);
        }
        let (leaf, authorities) = path.split_first()?;
        if let Some(flaw) = root.and_then(|root| root.flaw(wanted.purpose, leaf, wanted.at)) {
            return Some(flaw);
        }
        let purpose = wanted.purpose.oid();
        let is_root = |one: &Certificate<'_>| root.is_some_and(|root| root.certificate.raw == one.raw);
        // What is trusted by itself need not say what it is for. Any purpose is what authorities say.
        let says_so = leaf.names_purpose(purpose) || is_root(leaf) && !leaf.has_purposes();
        let is_for_it = says_so && leaf.may_sign_others() && !leaf.has_unknown_demands();
        let mut below: usize = 0;
        for authority in authorities {
            let may = if is_root(authority) {
                authority.is_no_bar_over(below)
            } else {
                authority.is_authority_over(below) && !authority.has_unknown_demands()
            };
            if !may || !authority.permits_purpose(purpose) {
                return Some(Flaw::WrongPurpose);
            }
            below = below.saturating_add(usize::from(!authority.is_self_issued()));
        }
        if !is_for_it {
            return Some(Flaw::WrongPurpose);
        }
        path.iter().any(|one| !one.is_in_time(wanted.at)).then_some(Flaw::OutOfTime)
    }

    /// Whether `issuer` has signed `certificate`.
    fn check(&mut self, certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> Result<(), Flaw> {
        let place = (certificate.raw.as_ptr().addr(), issuer.raw.as_ptr().addr());
        if let Some(known) = self.checked.get(&place) {
            return *known;
        }
        self.checks = self.checks.checked_sub(1).ok_or(Flaw::SignatureDiffers)?;
        let checked = certificate.is_signed_by(&issuer.key);
        self.checked.insert(place, checked);
        checked
    }
}

/// How near to a chain that holds: less is nearer.
const fn rank(flaw: Option<Flaw>) -> u8 {
    match flaw {
        None => 0,
        Some(Flaw::OutOfTime) => 1,
        Some(Flaw::WrongPurpose) => 2,
        Some(Flaw::Disallowed) => 3,
        Some(Flaw::WeakAlgorithm) => 4,
        Some(Flaw::UnknownAlgorithm) => 5,
        Some(Flaw::UntrustedRoot) => 6,
        Some(_) => 7,
    }
}
