//! Copies in the layers of overlays that are mounted: containers' files and images.
//!
//! What is changed below an overlay while it is mounted is undefined by the kernel's own word: the container would go on
//! seeing the file that lies in the vault. So such a copy is denied, and told with where it lies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sys::mounts::{Layer, Mount, Tree, Visitor, absolute_layers, namespaces};

use crate::elsewhere::{self, Elsewhere};

/// The layers of all overlays that root has mounted, in whichever mount namespace. What a user mounts in a namespace of
/// his own does not count: he could name any directory, and so keep a copy from being taken.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// By the directory: what is written through an overlay goes there, and where the overlays are mounted.
    by_path: BTreeMap<PathBuf, (bool, Vec<PathBuf>)>,
}

/// A layer that an overlay's options name.
struct Told {
    /// Where it lies, by the path that it has here.
    path: PathBuf,
    is_upper: bool,
    /// Where the overlay is mounted.
    point: PathBuf,
}

fn visit(elsewhere: &[Arc<Elsewhere>]) -> std::io::Result<Vec<Told>> {
    let visitor = Visitor::new()?;
    let mut told = Vec::new();
    for (number, namespace) in namespaces()?.enumerate() {
        if number > 0 && (!namespace.is_of_our_users || visitor.enter(&namespace).is_err()) {
            continue;
        }
        let tree = Tree::new(visitor.mounts().unwrap_or_default());
        for overlay in tree.mounts().iter().filter(|mount| mount.filesystem == "overlay") {
            for layer in absolute_layers(overlay) {
                let Layer { path, is_upper } = layer;
                if let Some((path, point)) = only_there(elsewhere, &tree, overlay, &path) {
                    told.push(Told { path, is_upper, point });
                }
                // The layers of the agent's own root are out of sight, and their paths mean other places here.
                if number > 0 || overlay.point != Path::new("/") {
                    told.push(Told { path, is_upper, point: overlay.point.clone() });
                }
            }
        }
    }
    Ok(told)
}

/// Where a layer and its overlay lie, if the layer's filesystem is mounted in other namespaces only. `tree` is that of
/// the overlay's.
fn only_there(
    elsewhere: &[Arc<Elsewhere>],
    tree: &Tree,
    overlay: &Mount,
    layer: &Path,
) -> Option<(PathBuf, PathBuf)> {
    let mount = tree.containing(layer)?;
    let there = elsewhere.iter().find(|there| there.mount.device == mount.device)?;
    let inside = mount.root.join(layer.strip_prefix(&mount.point).ok()?);
    let below = inside.strip_prefix(&there.mount.root).ok()?;
    let name: PathBuf = there.mount.point.components().take(2).collect();
    Some((there.mount.point.join(below), name.join(overlay.point.strip_prefix("/").ok()?)))
}

/// Images are kept deeper. Who lays an overlay over `/` or `/usr` to try something out must not keep every copy there from
/// being taken.
const DEEP: usize = 3;
/// Mount points that are named in one reason.
const NAMED: usize = 3;

impl Layers {
    pub(super) fn now() -> Self {
        let elsewhere = elsewhere::known();
        // Who has visited other mount namespaces can't come back with all it had, nor does it know this one's paths.
        let visit = || visit(&elsewhere).unwrap_or_default();
        let told = std::thread::scope(|scope| scope.spawn(visit).join()).unwrap_or_default();
        let mut layers = Self::default();
        for Told { path, is_upper, point } in told {
            // Images' layers are often named by a link.
            let is_here = !elsewhere::is_elsewhere(&path);
            let path =
                Some(&path).filter(|_| is_here).and_then(|path| path.canonicalize().ok()).unwrap_or(path);
            layers.add(path, is_upper, &point);
        }
        layers
    }

    fn add(&mut self, path: PathBuf, is_upper: bool, point: &Path) {
        if !is_upper && path.components().count() <= DEEP {
            return;
        }
        let (is_written, points) = self.by_path.entry(path).or_default();
        *is_written |= is_upper;
        if !points.iter().any(|known| known == point) {
            points.push(point.to_owned());
        }
    }

    /// Why what lies at `path` is not to be moved, if it is a layer's.
    pub(super) fn hold(&self, path: &Path) -> Option<String> {
        // What is mounted below a layer is not in it.
        let mount = |path: &Path| match elsewhere::is_elsewhere(path) {
            true => elsewhere::holding(path).map(|there| there.mount.id),
            false => sys::mounts::containing(path).ok().map(|mount| mount.id),
        };
        let is_in = |directory: &&Path| {
            self.by_path.contains_key(*directory)
                && path.parent().is_none_or(|parent| mount(parent) == mount(directory))
        };
        let layer = path.ancestors().skip(1).find(is_in)?;
        let (is_written, points) = self.by_path.get(layer)?;
        let named: Vec<_> = points.iter().take(NAMED).map(|point| point.display().to_string()).collect();
        let more = points.len().saturating_sub(named.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let place = format!("{}, of the overlay mounted at {}{more}", layer.display(), named.join(", "));
        Some(if *is_written {
            format!(
                "it lies in a container's writable layer {place}: denied there; end the container and order it again"
            )
        } else {
            format!(
                "it lies in an image's layer {place}: denied there; remove the image, or end what uses it and order it again"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_and_lower_are_told_apart() {
        let mut layers = Layers::default();
        layers.add("/".into(), false, Path::new("/run/a"));
        layers.add("/usr".into(), false, Path::new("/run/a"));
        assert!(layers.by_path.is_empty(), "too high for an image");
        layers.add("/no such/a/lower".into(), false, Path::new("/run/a"));
        for point in ["/run/a", "/run/b", "/run/c", "/run/d", "/run/a"] {
            layers.add("/no such/a/lower".into(), false, Path::new(point));
        }
        layers.add("/no such/upper".into(), true, Path::new("/run/a"));
        let hold = |path: &str| layers.hold(Path::new(path));
        let lower = hold("/no such/a/lower/bin/x").unwrap();
        assert!(lower.contains("image's layer /no such/a/lower, of"), "{lower}");
        assert!(lower.contains("/run/a, /run/b, /run/c and 1 more:"), "{lower}");
        let upper = hold("/no such/upper/x").unwrap();
        assert!(upper.contains("writable layer /no such/upper,"), "{upper}");
        assert_eq!(hold("/no such/upper two/x"), None);
        assert_eq!(hold("/no such/a/lower"), None);
    }
}
