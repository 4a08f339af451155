//! What an overlay is made of.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::Mount;

/// One of the directories that an overlay was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// As whoever mounted it named it; it may have meant another place than it does here and now.
    pub path: PathBuf,
    /// What is written through the overlay goes there.
    pub is_upper: bool,
}

/// The directories that an overlay was made of, as whoever mounted it named them; the paths may have meant another
/// place than they do here and now. `None` when they are not all told, or not as absolute paths.
pub fn layers(overlay: &Mount) -> Option<Vec<PathBuf>> {
    let layers = named(overlay)?;
    let is_whole = !layers.is_empty() && layers.iter().all(|layer| layer.path.is_absolute());
    is_whole.then(|| layers.into_iter().map(|layer| layer.path).collect())
}

/// Those of the directories that are told as absolute paths.
pub fn absolute_layers(overlay: &Mount) -> Vec<Layer> {
    let mut layers = named(overlay).unwrap_or_default();
    layers.retain(|layer| layer.path.is_absolute());
    layers
}

fn named(overlay: &Mount) -> Option<Vec<Layer>> {
    let layer = |path, is_upper| Layer { path: OsString::from_vec(path).into(), is_upper };
    let mut layers = Vec::new();
    for option in overlay.options.split(',') {
        let Some((name, value)) = option.split_once('=') else { continue };
        let value = unescape(value)?;
        match name {
            "lowerdir" => layers.extend(parts(&value).into_iter().map(|part| layer(part, false))),
            "lowerdir+" | "datadir+" => layers.push(layer(value, false)),
            "upperdir" => layers.push(layer(value, true)),
            _ => {}
        }
    }
    Some(layers)
}

/// Undoes the table's own escapes: `\ooo`. What is no text was lost already.
fn unescape(value: &str) -> Option<Vec<u8>> {
    (!value.contains(char::REPLACEMENT_CHARACTER)).then(|| {
        let path = super::table::path(value.as_bytes());
        path.as_os_str().as_bytes().to_vec()
    })
}

/// The parts between colons; a backslash takes the meaning from the next byte. Layers of data follow two colons.
fn parts(value: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, parts.last_mut()) {
            (b':', _) => parts.push(Vec::new()),
            (b'\\', Some(part)) => part.extend(bytes.next()),
            (_, Some(part)) => part.push(byte),
            (_, None) => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_every_form() {
        let told = |options: &str| {
            let root = super::super::containing(std::path::Path::new("/")).unwrap();
            let overlay = Mount { options: options.to_owned(), ..root };
            layers(&overlay).map(|layers| {
                layers.iter().map(|layer| layer.to_str().unwrap().to_owned()).collect::<Vec<_>>()
            })
        };
        let of = |paths: &[&str]| Some(paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
        let cases = [
            ("rw,lowerdir=/a:/b,upperdir=/u,workdir=/w", of(&["/a", "/b", "/u"])),
            ("rw,lowerdir+=/a,lowerdir+=/b:c,datadir+=/d", of(&["/a", "/b:c", "/d"])),
            (r"rw,lowerdir=/a\134:b::/c\040d\054e", of(&["/a:b", "/c d,e"])),
            ("rw,lowerdir=53/fs:/b", None),
            ("rw,lowerdir=l/X", None),
            ("rw", None),
            ("rw,lowerdir=/a\u{fffd}", None),
        ];
        for (options, expected) in cases {
            assert_eq!(told(options), expected, "{options}");
        }
        let root = super::super::containing(std::path::Path::new("/")).unwrap();
        let overlay = Mount { options: "rw,lowerdir=l/X:/a,upperdir=/u".to_owned(), ..root };
        let layer = |path: &str, is_upper| Layer { path: path.into(), is_upper };
        assert_eq!(absolute_layers(&overlay), [layer("/a", false), layer("/u", true)]);
    }
}
