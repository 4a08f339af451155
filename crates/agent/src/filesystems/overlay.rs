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

/// How execution on a filesystem is asked about. `tree` is where its layers' paths are looked up; `is_of_our_users`
/// says that nobody but root can have mounted it.
pub(super) fn asked(mount: &Mount, tree: &Tree, is_of_our_users: bool) -> Asked {
    static LAYERS_ARE: OnceLock<bool> = OnceLock::new();
    let release =
        || rustix::system::uname().release().to_str().is_ok_and(|release| version(release) >= (6, 5));
    decide(mount, tree, is_of_our_users, *LAYERS_ARE.get_or_init(release))
}

fn decide(mount: &Mount, tree: &Tree, is_of_our_users: bool, layers_are_asked: bool) -> Asked {
    if mount.filesystem != "overlay" {
        return Asked::Itself;
    }
    let layers = sys::mounts::layers(mount).and_then(|layers| {
        let on = layers.iter().map(|layer| tree.containing(layer)).collect::<Option<Vec<_>>>()?;
        // Paths of the place where it was made, which is not here.
        on.iter().all(|layer| layer.device != mount.device).then_some(on)
    });
    if layers.iter().flatten().any(|layer| kind(layer) == Kind::Foreign) {
        return Asked::Not("one of its layers is not local");
    }
    let is_own_root =
        || mount.point == Path::new("/") && tree.containing(&mount.point).is_some_and(|root| root == mount);
    match layers {
        Some(layers) if layers_are_asked => {
            let mut devices: Vec<u64> = layers.iter().map(|layer| layer.device).collect();
            devices.sort_unstable();
            devices.dedup();
            Asked::ByLayers(devices)
        }
        // What all of this machine is on: when that does not answer, nothing does.
        None if is_of_our_users && is_own_root() => Asked::Itself,
        _ if is_of_our_users && !layers_are_asked => Asked::Itself,
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
            |options: &str, ours, layers| decide(&mount(9, "/o", "overlay", options), &tree, ours, layers);
        let plain = "rw,lowerdir=/lib:/usr,upperdir=/upper/a,workdir=/upper/b";
        assert_eq!(asked(plain, true, true), Asked::ByLayers(vec![1, 2]));
        assert_eq!(asked(plain, false, true), Asked::ByLayers(vec![1, 2]));
        assert_eq!(asked(plain, true, false), Asked::Itself);
        assert!(matches!(asked(plain, false, false), Asked::Not(_)));
        let relative = "rw,lowerdir=l/A:l/B";
        assert!(matches!(asked(relative, true, true), Asked::Not(_)));
        assert_eq!(asked(relative, true, false), Asked::Itself);
        assert!(matches!(asked(relative, false, true), Asked::Not(_)));
        let root = mount(1, "/", "overlay", "rw,lowerdir=/where/it/was/made");
        let inside = Tree::new(vec![root.clone()]);
        assert_eq!(decide(&root, &inside, true, true), Asked::Itself, "the agent's own root");
        assert!(matches!(decide(&root, &inside, false, true), Asked::Not(_)), "somebody's own root");
        for ours in [true, false] {
            for layers in [true, false] {
                let foreign = "rw,lowerdir=/lib:/remote/layer";
                assert!(matches!(asked(foreign, ours, layers), Asked::Not(_)));
            }
        }
        let in_itself = mount(4, "/here", "overlay", "rw,lowerdir=/here/lower");
        assert_eq!(decide(&in_itself, &tree, true, false), Asked::Itself);
        assert!(matches!(decide(&in_itself, &tree, true, true), Asked::Not(_)));
        assert_eq!(decide(&mount(2, "/upper", "tmpfs", "rw"), &tree, false, true), Asked::Itself);
    }

    #[test]
    fn releases() {
        assert_eq!(version("6.18.44-fc-v669"), (6, 18));
        assert_eq!(version("6.1.0-9-amd64"), (6, 1));
        assert!(version("5.14.0-503.el9") < (6, 5) && version("10.0") > (6, 5));
        assert_eq!(version("odd"), (0, 0));
    }
}
