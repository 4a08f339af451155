//! Denial in the kernel itself: LSM programs that hash what is executed and ask nobody.
//!
//! The programs are `crates/sys/bpf/guard.bpf.c`, compiled into `guard.bpf.o` beside it (`cargo xtask bpf`). They fit
//! the kernel that runs by its own description of its types (BTF), so that one object serves all.
//!
//! # What is needed
//! CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN, a kernel with BPF LSM in force ([`probe`] tells: the kernel's own list of
//! modules does not), and IMA for the digests ([`Programs::algorithm`] tells).
//!
//! # Order
//! [`Programs::load`], then rules and scope, [`Programs::attach`], [`Programs::publish`]. Nothing is denied before
//! something is published.

mod batch;
mod hooks;
mod mapping;
pub mod pins;
mod shapes;
mod standing;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::links::FdLink;
use aya::{Btf, Ebpf, EbpfLoader, VerifierLogLevel};

use hooks::{ANSWER, Hooks, MEET, WhileNeeded};
use mapping::open_at_once;
pub use mapping::{have_judged, map_executable};
pub use shapes::{Content, Copy, Counts, Effect, Event, Hook, Outcome, Rule, SHA256, Spared};
pub use standing::Scope;
use standing::Standing;

/// The compiled programs.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/guard.bpf.o");

/// The largest set of rules.
pub const MOST_RULES: usize = 1 << 20;
/// Room for a name of an interpreter, with the zero behind it.
const NAME: usize = 16;

/// The programs, loaded into the kernel. Unless they are [pinned](Self::pin) they end with this.
#[derive(Debug)]
pub struct Programs {
    ebpf: Ebpf,
    links: Vec<(&'static str, FdLink)>,
    pinned: Option<PathBuf>,
    standing: Standing,
    hooks: Hooks,
}

/// Whether this kernel takes LSM programs, tried with one that does nothing.
///
/// # Errors
/// What the kernel says: EPERM where it is locked down or we lack the rights, EINVAL without BPF LSM.
pub fn probe() -> io::Result<()> {
    let btf = Btf::from_sys_fs().map_err(other)?;
    let mut ebpf =
        EbpfLoader::new().btf(Some(&btf)).map_max_entries("rules", 1).load(OBJECT).map_err(other)?;
    hooks::try_out(&mut ebpf, &btf)
}

impl Programs {
    /// Loads the programs, and attaches none.
    ///
    /// # Errors
    /// What the kernel's verifier says, and what [`probe`] may say.
    pub fn load() -> io::Result<Self> {
        let btf = Btf::from_sys_fs().map_err(other)?;
        // The verifier's log is long, and most of the time that loading takes.
        Self::load_telling(&btf, VerifierLogLevel::DISABLE).or_else(|error| match error.kind() {
            // Refused as such, whatever they do.
            io::ErrorKind::PermissionDenied => Err(error),
            _ => Self::load_telling(&btf, VerifierLogLevel::DEBUG | VerifierLogLevel::STATS),
        })
    }

    fn load_telling(btf: &Btf, level: VerifierLogLevel) -> io::Result<Self> {
        let mut ebpf =
            EbpfLoader::new().btf(Some(btf)).verifier_log_level(level).load(OBJECT).map_err(other)?;
        hooks::try_out(&mut ebpf, btf)?;
        let hooks = Hooks::load(&mut ebpf, btf)?;
        Ok(Self { ebpf, links: Vec::new(), pinned: None, standing: Standing::default(), hooks })
    }

    /// Attaches the programs. What is not published yet they permit.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn attach(&mut self) -> io::Result<()> {
        self.links = self.hooks.attach(&mut self.ebpf)?;
        Ok(())
    }

    /// Whether what interpreters read is judged: from Linux 6.12 on.
    pub fn judges_scripts(&self) -> bool {
        self.hooks.judge_scripts()
    }

    /// Whether an open that only reads costs one program instead of two: where each way is known by which the kernel
    /// opens files for itself.
    pub fn asks_once(&self) -> bool {
        self.hooks.ask_once()
    }

    /// By which algorithm the kernel tells the digests of files; to be asked when the programs are attached.
    ///
    /// # Errors
    /// EOPNOTSUPP when it tells none (no IMA), ENODATA when the hook was not called.
    pub fn algorithm(&mut self) -> io::Result<u32> {
        let file = File::open("/proc/self/exe")?;
        self.map::<i64>("answer")?.set(0, -i64::from(libc::ENODATA), 0).map_err(other)?;
        self.probing(ANSWER, || map_executable(file.as_fd()))??;
        let answer = self.map::<i64>("answer")?.get(&0, 0).map_err(other)?;
        u32::try_from(answer)
            .map_err(|_| io::Error::from_raw_os_error(i32::try_from(-answer).unwrap_or(libc::EIO)))
    }

    /// Puts rules into the programs' map, in the place of others for the same content. They count at once for what
    /// nobody has judged yet, and for all when the next epoch is published.
    ///
    /// # Errors
    /// E2BIG beyond [`MOST_RULES`], ENOMEM.
    pub fn put_rules(&mut self, rules: impl IntoIterator<Item = (Content, Rule)>) -> io::Result<()> {
        const AT_ONCE: usize = 8192;
        let map = self.rules()?;
        let (mut keys, mut values) = (Vec::with_capacity(AT_ONCE), Vec::with_capacity(AT_ONCE));
        for (content, rule) in rules {
            keys.push(content);
            values.push(rule);
            if keys.len() == AT_ONCE {
                batch::put(map, &keys, &values)?;
                keys.clear();
                values.clear();
            }
        }
        batch::put(map, &keys, &values)
    }

    /// Takes rules out of the programs' map.
    ///
    /// # Errors
    /// None that is known.
    pub fn remove_rules(&mut self, contents: impl IntoIterator<Item = Content>) -> io::Result<()> {
        let map = self.rules()?;
        contents.into_iter().try_for_each(|content| batch::remove(map, &content))
    }

    /// Takes all rules out of the programs' map but those about files that are to be kept, by a look at each.
    ///
    /// # Errors
    /// None that is known.
    pub fn keep_rules(&mut self, is_kept: impl Fn(&Content) -> bool) -> io::Result<()> {
        let map = self.ebpf.map("rules").ok_or(io::ErrorKind::NotFound)?;
        let map = HashMap::<_, Content, Rule>::try_from(map).map_err(other)?;
        let there = map.keys().collect::<Result<Vec<_>, _>>().map_err(other)?;
        self.remove_rules(there.into_iter().filter(|content| !is_kept(content)))
    }

    /// Makes these the copies that are never denied, and no others.
    ///
    /// # Errors
    /// E2BIG beyond 65,536.
    pub fn spare(&mut self, spared: &[Spared]) -> io::Result<()> {
        self.hash::<Spared, u8>("spareds").and_then(|mut map| replace(&mut map, spared))
    }

    /// Makes these the guarded filesystems, by the kernel's own number ([`kernel_device`]), and no others.
    ///
    /// # Errors
    /// E2BIG beyond 4,096.
    pub fn guard(&mut self, devices: &[u64]) -> io::Result<()> {
        self.hash::<u64, u8>("guarded").and_then(|mut map| replace(&mut map, devices))
    }

    /// Programs with these names (without versions) execute what they read, from their next exec on.
    ///
    /// # Errors
    /// E2BIG beyond 256.
    pub fn name_interpreters(&mut self, names: &[&str]) -> io::Result<()> {
        let names: Vec<[u8; NAME]> = names
            .iter()
            .map(|name| {
                let mut filled = [0; NAME];
                let length = name.len().min(NAME - 1);
                filled[..length].copy_from_slice(&name.as_bytes()[..length]);
                filled
            })
            .collect();
        self.hash::<[u8; NAME], u8>("names").and_then(|mut map| replace(&mut map, &names))
    }

    /// These programs execute what they read, also where they run already; one that cannot be opened is left out. To
    /// be told when the programs are attached: that it is opened tells them which it is.
    ///
    /// # Errors
    /// None that is known.
    pub fn add_interpreters(&mut self, programs: impl IntoIterator<Item: AsRef<Path>>) -> io::Result<()> {
        self.probing(MEET, || {
            for program in programs {
                let _ = open_at_once(program.as_ref());
            }
        })
    }

    /// Does something of which a program takes note that is attached for so long.
    fn probing<T>(&mut self, program: WhileNeeded, act: impl FnOnce() -> T) -> io::Result<T> {
        let attached = program.attach(&mut self.ebpf)?;
        self.standing.prober = std::process::id();
        let done = self.stand().map(|()| act());
        self.standing.prober = 0;
        self.stand()?;
        drop(attached);
        done
    }

    /// Puts rules and scope as they are now in force: from here on no verdict by earlier ones is given. `rules` says
    /// how many there are. Returns the epoch.
    ///
    /// # Errors
    /// None that is known.
    pub fn publish(&mut self, rules: usize, scope: Scope) -> io::Result<u64> {
        self.standing.advance(rules as u64, scope);
        self.stand()?;
        Ok(self.standing.epoch())
    }

    /// What was counted.
    ///
    /// # Errors
    /// None that is known.
    pub fn counts(&self) -> io::Result<Counts> {
        let map = self.ebpf.map("counts").ok_or(io::ErrorKind::NotFound)?;
        let map: PerCpuArray<_, u64> = PerCpuArray::try_from(map).map_err(other)?;
        let sum = |which| -> io::Result<u64> { Ok(map.get(&which, 0).map_err(other)?.iter().sum()) };
        Ok(Counts {
            hashed: sum(0)?,
            denied: sum(1)?,
            untold: sum(2)?,
            unjudged: sum(3)?,
            unknown: sum(4)?,
            busy: sum(5)?,
            told: sum(6)?,
        })
    }

    /// The events; once.
    ///
    /// # Errors
    /// `NotFound` when they were taken before.
    pub fn take_events(&mut self) -> io::Result<Events> {
        let map = self.ebpf.take_map("events").ok_or(io::ErrorKind::NotFound)?;
        Ok(Events(RingBuf::try_from(map).map_err(other)?))
    }

    /// Keeps the programs in force without us, until somebody [releases](pins::release) them, and takes those out of
    /// force that were pinned before.
    ///
    /// # Errors
    /// When there is no bpf filesystem at its usual place.
    pub fn pin(&mut self) -> io::Result<()> {
        let home = pins::next()?;
        let standing = self.ebpf.map("standing").ok_or(io::ErrorKind::NotFound)?;
        standing.pin(home.join(pins::STANDING)).map_err(other)?;
        for (name, link) in std::mem::take(&mut self.links) {
            let pinned = link.pin(home.join(name)).map_err(other)?;
            self.links.push((name, pinned.into()));
        }
        pins::remove_but(Some(&home))?;
        self.pinned = Some(home);
        Ok(())
    }

    /// Where the programs are pinned.
    pub fn pinned(&self) -> Option<&Path> {
        self.pinned.as_deref()
    }

    fn stand(&mut self) -> io::Result<()> {
        let standing = self.standing.now()?;
        self.map("standing")?.set(0, standing, 0).map_err(other)
    }

    /// The map of rules, for calls that the library has not.
    fn rules(&self) -> io::Result<BorrowedFd<'_>> {
        let map = self.ebpf.map("rules").ok_or(io::ErrorKind::NotFound)?;
        // It compares the sizes of key and value.
        HashMap::<_, Content, Rule>::try_from(map).map_err(other)?;
        match map {
            Map::HashMap(data) => Ok(data.fd().as_fd()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn map<V: aya::Pod>(&mut self, name: &str) -> io::Result<Array<&mut MapData, V>> {
        Array::try_from(self.ebpf.map_mut(name).ok_or(io::ErrorKind::NotFound)?).map_err(other)
    }

    fn hash<K: aya::Pod, V: aya::Pod>(&mut self, name: &str) -> io::Result<HashMap<&mut MapData, K, V>> {
        HashMap::try_from(self.ebpf.map_mut(name).ok_or(io::ErrorKind::NotFound)?).map_err(other)
    }
}

/// What the programs have to tell. Readable when there is something.
pub struct Events(RingBuf<aya::maps::MapData>);

impl Events {
    /// The next one, if there is one.
    pub fn take(&mut self) -> Option<Event> {
        while let Some(item) = self.0.next() {
            if let Some(event) = Event::parse(&item) {
                return Some(event);
            }
        }
        None
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The kernel's own number for what `stat` calls `device`. On btrfs and some overlays they have nothing to do with
/// each other: take the device from [`crate::mounts::Mount`] there.
pub fn kernel_device(device: u64) -> u64 {
    u64::from(rustix::fs::major(device)) << 20 | u64::from(rustix::fs::minor(device))
}

/// The other way round.
pub fn stat_device(device: u64) -> u64 {
    let part = |bits| u32::try_from(bits & 0xf_ffff).unwrap_or(0);
    rustix::fs::makedev(part(device >> 20), part(device))
}

/// The kernel's clock that rules' ends are told by: nanoseconds since boot, the time asleep included.
pub fn since_boot() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Makes the keys of a set these and no others; what stays is never missing meanwhile.
fn replace<K: aya::Pod + PartialEq>(map: &mut HashMap<&mut MapData, K, u8>, keys: &[K]) -> io::Result<()> {
    let there = map.keys().collect::<Result<Vec<K>, _>>().map_err(other)?;
    keys.iter().try_for_each(|key| map.insert(key, 1, 0)).map_err(other)?;
    there.iter().filter(|key| !keys.contains(key)).try_for_each(|key| map.remove(key)).map_err(other)
}

/// What the library says, with what the kernel said to it.
fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    let mut text = error.to_string();
    let mut kind = io::ErrorKind::Other;
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        kind = error.downcast_ref::<io::Error>().map_or(kind, io::Error::kind);
        cause = error.source();
    }
    io::Error::new(kind, text)
}
