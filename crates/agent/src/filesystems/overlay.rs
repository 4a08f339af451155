//! Whether an overlay is asked about, or what it is made of.
//!
//! An overlay's files lie on other filesystems, its layers. Two reasons speak against asking about the overlay itself.
//! The kernel opens the file for whoever it asks, and a layer that never answers would hold up every question of the
//! machine: who may mount in a user namespace can make such an overlay. And what is known of a file there can't be
//! kept, so that each exec in a container would be hashed. Since Linux 6.5 the kernel asks about the layer's file, so
//! that nothing is missed where the layers are asked about.

use std::path::Path;
use std::sync::OnceLock;

use sys::mounts::{Kind, Mount, Tree, kind};

/// How execution on a filesystem is asked about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// By a mark on it.
    Itself,
    /// By the marks on the filesystems of these devices.
    ByLayers(Vec<u64>),
    /// Not at all, and why.
    Not(&'static str),
}

/// Who can have mounted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Root, and it is seen in the agent's own namespace.
    Us,
    /// Root, for a namespace of its own.
    Root,
    /// Whoever is a user of this machine.
    Anybody,
}

/// How execution on a filesystem is asked about. `tree` is where its layers' paths are looked up.
pub(super) fn asked(mount: &Mount, tree: &Tree, by: By) -> Asked {
    static LAYERS_ARE: OnceLock<bool> = OnceLock::new();
    let release =
        || rustix::system::uname().release().to_str().is_ok_and(|release| version(release) >= (6, 5));
    decide(mount, tree, by, *LAYERS_ARE.get_or_init(release))
}

/// Whether reading a file there may wait for somebody who does not answer. `is_ours`: nobody but root can have mounted
/// it.
pub(crate) fn may_hang(mount: &Mount, tree: &Tree, is_ours: bool) -> bool {
    let is_foreign = |layer: &&Mount| kind(layer) == Kind::Foreign;
    mount.filesystem == "overlay"
        && layers(mount, tree).map_or(!is_ours, |layers| layers.iter().any(is_foreign))
}

/// What an overlay is made of, where that can be told.
fn layers<'t>(mount: &Mount, tree: &'t Tree) -> Option<Vec<&'t Mount>> {
    let layers = sys::mounts::layers(mount)?;
    let on = layers.iter().map(|layer| tree.containing(layer)).collect::<Option<Vec<_>>>()?;
    // Paths of the place where it was made, which is not here.
    on.iter().all(|layer| layer.device != mount.device).then_some(on)
}

fn decide(mount: &Mount, tree: &Tree, by: By, layers_are_asked: bool) -> Asked {
    if mount.filesystem != "overlay" {
        return Asked::Itself;
    }
    let layers = layers(mount, tree);
    if layers.iter().flatten().any(|layer| kind(layer) == Kind::Foreign) {
        return Asked::Not("one of its layers is not local");
    }
    match layers {
        // What all of the agent's world is on: when that does not answer, nothing does. In a container its layers are
        // out of sight.
        _ if by == By::Us && mount.point == Path::new("/") => Asked::Itself,
        Some(layers) if layers_are_asked => {
            let mut devices: Vec<u64> = layers.iter().map(|layer| layer.device).collect();
            devices.sort_unstable();
            devices.dedup();
            Asked::ByLayers(devices)
        }
        _ if by != By::Anybody && !layers_are_asked => Asked::Itself,
        _ => Asked::Not("what it is made of can't be told; that is guarded where it is reached otherwise"),
    }
}

/// Major and minor number of a kernel.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(id: u64, point: &str, filesystem: &str, options: &str) -> Mount {
        let root = sys::mounts::containing("/".as_ref()).unwrap();
        let parent = u64::from(id > 1);
        let (filesystem, options) = (filesystem.to_owned(), options.to_owned());
        Mount { id, parent, device: id, point: point.into(), filesystem, options, ..root }
    }

    #[test]
    fn an_overlay_is_asked_about_where_its_layers_are_not_and_can_do_no_harm() {
        let tree = Tree::new(vec![
            mount(1, "/", "ext4", "rw"),
            mount(2, "/upper", "tmpfs", "rw"),
            mount(3, "/remote", "fuse.sshfs", "rw"),
            mount(4, "/here", "overlay", "rw,lowerdir=/lib:/usr,upperdir=/upper/a"),
        ]);
        let asked =
            |options: &str, by, layers| decide(&mount(9, "/o", "overlay", options), &tree, by, layers);
        let is_not = |asked: Asked| matches!(asked, Asked::Not(_));
        let plain = "rw,lowerdir=/lib:/usr,upperdir=/upper/a,workdir=/upper/b";
        let relative = "rw,lowerdir=l/A:l/B";
        for by in [By::Us, By::Root, By::Anybody] {
            assert_eq!(asked(plain, by, true), Asked::ByLayers(vec![1, 2]));
            assert!(is_not(asked(relative, by, true)));
            for layers in [true, false] {
                assert!(is_not(asked("rw,lowerdir=/lib:/remote/layer", by, layers)));
            }
        }
        let hangs = |options: &str, ours| may_hang(&mount(9, "/o", "overlay", options), &tree, ours);
        assert_eq!([plain, relative].map(|options| hangs(options, false)), [false, true]);
        assert_eq!([plain, relative].map(|options| hangs(options, true)), [false, false]);
        assert!(hangs("rw,lowerdir=/lib:/remote/layer", true));
        for options in [plain, relative] {
            assert_eq!(asked(options, By::Root, false), Asked::Itself);
            assert!(is_not(asked(options, By::Anybody, false)));
        }
        let in_itself = mount(4, "/here", "overlay", "rw,lowerdir=/here/lower");
        assert!(is_not(decide(&in_itself, &tree, By::Us, true)));
        let root = mount(1, "/", "overlay", "rw,lowerdir=/where/it/was/made");
        let inside = Tree::new(vec![root.clone()]);
        assert_eq!(decide(&root, &inside, By::Us, true), Asked::Itself);
        assert!(is_not(decide(&root, &inside, By::Root, true)));
        assert_eq!(decide(&mount(2, "/upper", "tmpfs", "rw"), &tree, By::Anybody, true), Asked::Itself);
    }

    #[test]
    fn releases() {
        assert_eq!(version("6.18.44-fc-v669"), (6, 18));
        assert_eq!(version("6.1.0-9-amd64"), (6, 1));
        assert!(version("5.14.0-503.el9") < (6, 5) && version("10.0") > (6, 5));
        assert_eq!(version("odd"), (0, 0));
    }
}
