//! Portable executables: Windows programs, libraries, drivers and EFI images.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod authentihash;
mod entropy;
mod facts;
mod image;
mod imports;
mod layout;
mod ordinals;
mod overlay;
mod pass;
mod resources;
mod sections;
mod subtype;
mod thunks;
mod version;

#[cfg(test)]
mod tests;

use std::io;

use model::facts::FileType;
use model::inspection::{Inspection, Outcome};

use crate::source::Source;

pub(crate) use authentihash::authentihash;
pub(crate) use layout::Layout;
pub(crate) use pass::Pass;
pub(crate) use subtype::subtype;

/// Puts what a portable executable says of itself into `found`, and begins the pass that is needed for the rest.
pub(crate) fn begin(source: &dyn Source, found: &mut Inspection) -> io::Result<Option<Pass>> {
    if found.facts.file_type != FileType::PortableExecutable {
        return Ok(None);
    }
    let Some(layout) = Layout::read(source)? else {
        found.outcome = Outcome::Malformed("its header ends early".to_owned());
        return Ok(None);
    };
    let read = facts::read(source, &layout)?;
    let version = read.pe.version.as_ref();
    found.publisher = version.and_then(|version| version.company_name.clone());
    found.product_name = version.and_then(|version| version.product_name.clone());
    found.facts.subtype = read.subtype.map(str::to_owned);
    found.pe = Some(read.pe);
    Ok(Some(Pass::new(&layout, read.ranges, source.size())))
}
