//! Everything that a portable executable says of itself, but for what takes a pass over all its bytes.

use std::io;
use std::ops::Range;

use model::inspection::{Pe, Section};

use super::image::Image;
use super::layout::Layout;
use super::sections::{self, Alignment};
use super::{imports, overlay, resources, subtype, version};
use crate::blocks::Blocks;
use crate::le;
use crate::source::Source;

/// What was found in the headers, imports and resources.
pub(crate) struct Found {
    pub(crate) pe: Pe,
    pub(crate) subtype: Option<&'static str>,
    /// Where the sections lie in the file, one for each of `pe.sections`.
    pub(crate) ranges: Vec<Range<u64>>,
}

/// Reads the facts of a program that is laid out like this.
pub(crate) fn read(source: &dyn Source, layout: &Layout) -> io::Result<Found> {
    let blocks = Blocks::new(source);
    let image = Image::read(&blocks, layout)?;
    let imports = imports::read(&image)?;
    let version = resources::versions(&image)?.iter().find_map(|bytes| version::read(bytes));
    let alignment = Alignment::of(layout);
    let size = source.size();
    let range = |entry: &sections::Entry| {
        let start = u64::from(alignment.raw_at(entry)).min(size);
        let end = start.saturating_add(entry.raw_size.into()).min(size);
        start..end
    };
    let pe = Pe {
        machine: le::half(&layout.header, 4).unwrap_or(0),
        characteristics: subtype::characteristics(layout),
        subsystem: subtype::subsystem(layout),
        compiled_at: le::word(&layout.header, 8).unwrap_or(0),
        is_dotnet: subtype::is_dot_net(layout),
        imphash: imports.hash,
        authentihash_sha1: None,
        authentihash_sha256: None,
        sections: image.entries.iter().map(section).collect(),
        section_count: sections::count(layout),
        overlay: overlay::find(&image)?,
        version,
    };
    let ranges = image.entries.iter().map(range).collect();
    Ok(Found { pe, subtype: subtype::subtype(layout, Some(&imports)), ranges })
}

fn section(entry: &sections::Entry) -> Section {
    Section {
        name: String::from_utf8_lossy(&entry.name).into_owned(),
        virtual_size: entry.virtual_size,
        raw_size: entry.raw_size,
        characteristics: entry.characteristics,
        entropy_thousandths: 0,
    }
}
