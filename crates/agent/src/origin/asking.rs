//! Asks a process of its own what packages brought, and makes an index of what makes sense.

use std::io;
use std::path::Path;
use std::time::Duration;

use model::origin::Origin;
use wire::link::frame;
use wire::link::v1::{self, origin_part::Part};

use super::index::{Index, Writer};
use crate::spared::Surveyor;

/// By then it has told all, also on a slow disk and a loaded machine: it runs only when nobody else wants to.
const PATIENCE: Duration = Duration::from_secs(900);
/// What makes the process tell of packages, and not of what is spared.
const WANTED: &str = "--origins";

/// An index of the packages as they are, which are in the state of that stamp.
///
/// # Errors
/// When the process can't be started, takes too long, says what makes no sense, or could not read a database; when the
/// disk fails.
pub(super) fn ask(surveyor: &Surveyor, path: &Path, stamp: [u8; 32]) -> io::Result<Index> {
    let mut child = surveyor.start(&[WANTED])?;
    let told = child.said_within(PATIENCE).and_then(|mut said| written(&mut said, path, stamp));
    child.end()?;
    told
}

fn written(said: &mut impl io::Read, path: &Path, stamp: [u8; 32]) -> io::Result<Index> {
    let mut writer = Writer::create(path, stamp)?;
    loop {
        let part = frame::read::<v1::OriginPart>(said)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match part.part {
            Some(Part::Package(package)) => {
                let origin = Origin::try_from(package)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                writer.package(&origin)?;
            }
            Some(Part::Entries(entries)) => writer.entries(&entries)?,
            Some(Part::End(end)) if end.unreadable.is_empty() => return writer.finish(),
            Some(Part::End(end)) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, end.unreadable.join("; ")));
            }
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
