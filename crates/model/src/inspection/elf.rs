//! What an ELF file says of itself.

/// What an ELF file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Elf {
    /// `e_machine`.
    pub machine: u16,
    /// 32 or 64.
    pub bits: u8,
    /// Whether its numbers begin with the most significant byte.
    pub is_big_endian: bool,
    /// The note that names this build, at most 64 bytes.
    pub build_id: Vec<u8>,
    /// The loader that it asks for.
    pub interpreter: Option<String>,
    /// Names of the libraries that it needs, in their order; at most 256.
    pub needed: Vec<String>,
    /// Its own name as a library.
    pub soname: Option<String>,
    /// How it gets its libraries.
    pub linkage: Linkage,
    /// What of its tables is read-only once it runs.
    pub relro: Relro,
    /// Whether it can be loaded anywhere: a position-independent program or a shared object.
    pub is_position_independent: bool,
    /// Whether it says that its stack need not be executable. What says nothing does not.
    pub has_nx: bool,
    /// Whether it has no symbol table but the one that the loader needs.
    pub is_stripped: bool,
    /// What the Go linker left in it.
    pub go: Option<GoBuild>,
    /// What the Rust compiler left in it.
    pub rust: Option<RustBuild>,
    /// The signature behind a kernel module (or a kernel image), which is not verified.
    pub module_signature: Option<ModuleSignature>,
}

/// How a program gets its libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Linkage {
    /// It holds them.
    #[default]
    Static,
    /// A loader brings them.
    Dynamic,
}

/// What of a program's tables is read-only once it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Relro {
    /// Nothing.
    #[default]
    None,
    /// All but what is bound late.
    Partial,
    /// All.
    Full,
}

/// What the Go linker left in a program. A module that was replaced is told as what it was replaced with.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GoBuild {
    /// Version of the toolchain.
    pub go_version: String,
    /// Path of the main package.
    pub path: Option<String>,
    /// The main module.
    pub module: Option<Library>,
    /// Modules it was built with, at most 512.
    pub dependencies: Vec<Library>,
    /// `vcs.revision`.
    pub revision: Option<String>,
}

/// What the Rust compiler or `cargo auditable` left in a program.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RustBuild {
    /// Compiler, as the `.comment` section names it.
    pub compiler: Option<String>,
    /// Crates that are in it (`.dep-v0`), the root first, without those that only built it; at most 512.
    pub crates: Vec<Library>,
}

/// A module or crate with its version.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Library {
    /// Its name or path.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The signature behind a kernel module.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ModuleSignature {
    /// Name of the signer, where the signature names it: for PKCS#7 the one who issued its certificate, as `modinfo` says.
    pub signer: Option<String>,
    /// Serial number or key identifier of the signer, at most 64 bytes.
    pub key_id: Vec<u8>,
    /// Digest that was signed, such as `sha256`.
    pub digest: Option<String>,
}
