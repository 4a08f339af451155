//! `quell trust show`: which lists of roots there are.

use inspect::{List, Trust};
use model::Time;
use serde_json::json;
use wire::rest::Stamp;

use super::installed;
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

pub(super) fn run(data_dir: &DataDir, format: Format) -> Result<(), Failure> {
    let data_dir = data_dir.path();
    let path = installed::path(&data_dir);
    let installed = match installed::read(&data_dir)? {
        Some(bytes) => Some(List::read(&bytes).ok_or_else(|| {
            Failure::new(Exit::Failed, format!("{} is damaged", path.display()))
                .hint("make it anew: quell trust update --from FILE")
        })?),
        None => None,
    };
    let carried = Trust::carried().lists();
    let lists =
        carried.into_iter().map(|list| ("carried", list)).chain(installed.map(|list| ("installed", list)));
    let mut told = 0;
    for (place, list) in lists {
        told += 1;
        let issued = (list.issued != Time::default()).then(|| Stamp(list.issued).to_string());
        say::out(match format {
            Format::Json => json!({
                "place": place, "roots": list.roots, "issued": issued, "sha256": list.sha256.to_string(),
            })
            .to_string(),
            Format::Table => {
                let issued = issued.map(|issued| format!(", issued {issued}")).unwrap_or_default();
                format!("{place}: {} roots{issued}, SHA-256 {}", list.roots, list.sha256)
            }
        });
    }
    if told < 2 {
        say::aside(
            "only Microsoft's own roots are trusted: quell trust update brings those of all publishers",
        );
    }
    Ok(())
}
