//! The roots that this program carries: Microsoft's own (crates/inspect/data/README.md).

use model::{Sha1, Time};

use super::pem;
use super::root::{Conditions, Limits};
use super::roots::Roots;
use crate::signature::cms::certificate::Certificate;

const ROOTS: &[u8] = include_bytes!("../../data/microsoft-roots.pem");

/// Those that are trusted for time stamps alone, by thumbprint.
const STAMPS: [[u8; 2]; 3] = [[0x24, 0x5c], [0x18, 0xf7], [0xbe, 0x36]];
/// Those that are trusted for code alone.
const CODE: [[u8; 2]; 2] = [[0x7f, 0x88], [0x92, 0xb4]];

/// The roots that this program carries.
pub(super) fn roots() -> Roots {
    let limited: Vec<_> = pem::certificates(ROOTS)
        .into_iter()
        .filter_map(|der| {
            let conditions = conditions(Certificate::read(&der)?.sha1());
            Some((der, conditions))
        })
        .collect();
    Roots::of(Time::default(), &limited)
}

/// The file has twelve roots: two bytes tell them apart.
fn conditions(sha1: Sha1) -> Conditions {
    let Some(first) = sha1.0.first_chunk() else { return Conditions::ALL };
    if STAMPS.contains(first) {
        Conditions { code: Limits::NEVER, stamp: Limits::ALWAYS }
    } else if CODE.contains(first) {
        Conditions { code: Limits::ALWAYS, stamp: Limits::NEVER }
    } else {
        Conditions::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_roots_and_their_purposes() {
        let roots = roots();
        let count = |wanted: Conditions| roots.all().filter(|root| root.conditions == wanted).count();
        let for_code = Conditions { code: Limits::ALWAYS, stamp: Limits::NEVER };
        let for_stamps = Conditions { code: Limits::NEVER, stamp: Limits::ALWAYS };
        assert_eq!((roots.len(), roots.all().count()), (12, 12));
        assert_eq!((count(Conditions::ALL), count(for_code), count(for_stamps)), (7, 2, 3));
    }
}
