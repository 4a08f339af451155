//! The forms in which programs and loader tell each other things: what `crates/sys/bpf/guard.h` says in C.
//!
//! The sizes are compared with those of the object when its maps are opened.

/// The kernel's number for SHA-256 among its hash algorithms.
pub const SHA256: u32 = 4;

/// By what a rule knows its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Content {
    /// The kernel's number of the hash algorithm: [`SHA256`], unless the machine is told otherwise.
    pub algorithm: u32,
    /// What it makes of the file, cut off behind 32 bytes.
    pub digest: [u8; 32],
}

impl Content {
    /// A file by its SHA-256.
    pub fn sha256(digest: [u8; 32]) -> Self {
        Self { algorithm: SHA256, digest }
    }
}

/// What is done to that file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Rule {
    /// By what it is reported.
    pub id: u64,
    /// When it ends, in nanoseconds since boot, the time asleep included; never, if 0.
    pub until: u64,
    effect: u32,
    reserved: u32,
}

impl Rule {
    /// One with this name, effect and end.
    pub fn new(id: u64, effect: Effect, until: u64) -> Self {
        Self { id, until, effect: effect as u32, reserved: 0 }
    }
}

/// What a rule can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Effect {
    /// Lets it run.
    Permit = 1,
    /// Refuses it.
    Deny = 2,
    /// Lets it run, and tells.
    Watch = 3,
}

/// A copy that is never denied as long as its content is this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Spared {
    /// The kernel's own number of the filesystem ([`super::kernel_device`]); 0 where that is not known.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// An inode, by the kernel's own number of its filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// [`super::kernel_device`].
    pub device: u64,
    /// The inode number.
    pub inode: u64,
}

/// How things stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Standing {
    pub(super) epoch: u64,
    pub(super) rules: u64,
    pub(super) largest: u64,
    pub(super) largest_script: u64,
    pub(super) largest_plain: u64,
    pub(super) tai_ahead: i64,
    pub(super) everywhere: u32,
    pub(super) prober: u32,
}

/// Where a file was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// It was to be executed, or to interpret what is executed.
    Exec,
    /// It was to be mapped so that it can be executed.
    Map,
    /// Its mapping was to be made executable.
    Protect,
    /// An interpreter was to read it.
    Read,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Refused by a rule.
    Denied,
    /// Permitted by a rule that wants to be told.
    Watched,
    /// Permitted against a rule, because the copy is spared.
    Spared,
    /// Permitted, because nobody could tell its digest: it is too large, or the kernel could not hash it.
    Unjudged,
    /// Refused, because nobody has told its digest yet and nobody could be asked.
    Unknown,
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What became of the file.
    pub outcome: Outcome,
    /// Where.
    pub hook: Hook,
    /// The rule, where one matched; else 0.
    pub rule: u64,
    /// Its content, where that is known.
    pub content: Option<Content>,
    /// The errno for which it is unjudged or unknown, if there was one.
    pub error: i32,
    /// Which inode.
    pub copy: Copy,
    /// The inode's generation.
    pub generation: u32,
    /// Its length in bytes.
    pub size: u64,
    /// Where the file is mapped, for [`Hook::Protect`].
    pub mapped: std::ops::Range<u64>,
    /// The process that was refused.
    pub process: i32,
    /// Its thread.
    pub thread: i32,
    /// The user that it runs as.
    pub user: u32,
    /// When, in nanoseconds since boot, the time asleep included.
    pub at: u64,
    /// The path, as that process sees it; empty where it is not known.
    pub path: Vec<u8>,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct RawEvent {
    at: u64,
    rule: u64,
    device: u64,
    inode: u64,
    size: u64,
    mapped_from: u64,
    mapped_to: u64,
    generation: u32,
    process: u32,
    thread: u32,
    user: u32,
    algorithm: u32,
    hook: u32,
    verdict: u32,
    error: i32,
    path_length: i32,
    reserved: u32,
    digest: [u8; 32],
    path: [u8; 1024],
}

impl Event {
    /// `None` for bytes of another form, which our programs do not send.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < size_of::<RawEvent>() {
            return None;
        }
        // SAFETY: there are enough bytes, any bytes are a `RawEvent`, and they need not be aligned.
        let raw = unsafe { bytes.as_ptr().cast::<RawEvent>().read_unaligned() };
        let hook = match raw.hook {
            1 => Hook::Exec,
            2 => Hook::Map,
            3 => Hook::Protect,
            4 => Hook::Read,
            _ => return None,
        };
        let outcome = match raw.verdict {
            2 => Outcome::Denied,
            3 => Outcome::Watched,
            4 => Outcome::Spared,
            5 => Outcome::Unjudged,
            6 => Outcome::Unknown,
            _ => return None,
        };
        // The length counts the zero at the end.
        let length = usize::try_from(raw.path_length - 1).unwrap_or(0);
        Some(Self {
            outcome,
            hook,
            rule: raw.rule,
            content: (raw.algorithm != 0).then_some(Content { algorithm: raw.algorithm, digest: raw.digest }),
            error: raw.error,
            copy: Copy { device: raw.device, inode: raw.inode },
            generation: raw.generation,
            size: raw.size,
            mapped: raw.mapped_from..raw.mapped_to,
            process: raw.process.cast_signed(),
            thread: raw.thread.cast_signed(),
            user: raw.user,
            at: raw.at,
            path: raw.path.get(..length).unwrap_or_default().to_vec(),
        })
    }
}

/// What was counted since the programs were loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files that the kernel hashed.
    pub hashed: u64,
    /// Refused by a rule.
    pub denied: u64,
    /// Events for which there was no room.
    pub untold: u64,
    /// Permitted because nobody could judge.
    pub unjudged: u64,
    /// Refused because nobody knew.
    pub unknown: u64,
    /// Refused because somebody wrote to the file.
    pub busy: u64,
    /// Permitted and told: watched or spared.
    pub told: u64,
}

// SAFETY: `repr(C)`, made of numbers, without padding.
unsafe impl aya::Pod for Content {}
// SAFETY: as above.
unsafe impl aya::Pod for Rule {}
// SAFETY: as above.
unsafe impl aya::Pod for Spared {}
// SAFETY: as above.
unsafe impl aya::Pod for Standing {}
