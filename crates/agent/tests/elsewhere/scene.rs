//! What a test acts on: an arena for what is ours, and filesystems of containers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use agent::acts::{Grounds, Guarded, Spares};
use agent::elsewhere::{self, Elsewhere};
use agent::vault::Vault;

use crate::arena::{Arena, Kind, Standing};
use crate::container::Container;

/// The bytes of a program that no other machine or process has.
pub(crate) fn evil() -> &'static [u8] {
    static EVIL: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut bytes = fs::read("/bin/sleep").unwrap();
        bytes.extend_from_slice(b"evil elsewhere");
        bytes
    });
    &EVIL
}

pub(crate) struct Scene {
    pub(crate) arena: Arena,
    pub(crate) vault: Arc<Vault>,
    found: Vec<Arc<Elsewhere>>,
}

impl Scene {
    pub(crate) fn open() -> Option<Self> {
        let arena = Arena::enter(Kind::Tmpfs)?;
        let vault = Arc::new(arena.vault());
        let scene = Self { arena, vault, found: Vec::new() };
        fs::write(scene.evil(), evil()).unwrap();
        fs::set_permissions(scene.evil(), fs::Permissions::from_mode(0o755)).unwrap();
        Some(scene)
    }

    /// Where containers get it from: on no filesystem that is guarded.
    pub(crate) fn evil(&self) -> PathBuf {
        self.arena.path("evil")
    }

    pub(crate) fn directory_of(&self, name: &str) -> PathBuf {
        self.arena.data_dir().parent().unwrap().join(name)
    }

    /// A directory on which nothing is mounted here.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.directory_of(name);
        fs::create_dir(&path).unwrap();
        path
    }

    /// Also somebody without rights finds the way.
    pub(crate) fn open_to_all(&self) {
        for directory in [self.arena.data_dir().parent().unwrap(), &self.arena.data_dir(), &self.arena.root()]
        {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    pub(crate) fn mount_memory(&self, container: &mut Container, point: &Path) {
        container.does(&format!("mount -t tmpfs -o mode=0755 none '{}'", point.display()));
    }

    /// Mounts a new disk. Says where its image is.
    pub(crate) fn mount_disk(&self, container: &mut Container, point: &Path) -> PathBuf {
        let image = self.directory_of("image");
        fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        assert!(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).status().unwrap().success());
        container.does(&format!("mount -o loop '{}' '{}'", image.display(), point.display()));
        image
    }

    /// Looks for what is mounted elsewhere: these points are guarded from now on.
    pub(crate) fn look(&mut self, points: &[&Path]) {
        let all = elsewhere::look();
        let find = |point: &&Path| {
            let found = all.iter().find(|there| there.inside == **point);
            found.unwrap_or_else(|| panic!("{} is not found: {all:#?}", point.display())).clone()
        };
        self.found = points.iter().map(find).collect();
        for there in &self.found {
            assert!(elsewhere::is_elsewhere(&there.mount.point), "{there:?}");
        }
    }

    /// The path that it has here.
    pub(crate) fn here(&self, point: &Path) -> PathBuf {
        let there = self.found.iter().find(|there| there.inside == point).unwrap();
        there.mount.point.clone()
    }

    pub(crate) fn grounds(&self) -> Grounds {
        let guarded = self.found.iter().map(|there| Guarded {
            device: there.mount.device,
            mount: there.mount.point.clone(),
            volatile: sys::mounts::is_volatile(&there.mount),
        });
        let spared: Arc<Spares> = Arc::new(|_, _| None);
        let (guarded, vault) = (guarded.collect(), self.vault.clone());
        let (own_pids, own_program) = (Vec::new(), None);
        Grounds { guarded, vault, spared, everywhere: false, own_pids, own_program }
    }

    /// As after a restart.
    pub(crate) fn open_vault_again(&mut self) {
        // One process has it open at a time.
        let other = tempfile::tempdir().unwrap();
        self.vault = Arc::new(Vault::open(other.path(), Arc::new(Standing)).unwrap());
        self.vault = Arc::new(self.arena.vault());
    }
}
