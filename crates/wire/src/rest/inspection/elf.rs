//! What only an ELF file has.

use data_encoding::HEXLOWER;
use model::inspection::{Elf, GoBuild, Library, Linkage, ModuleSignature, Relro, RustBuild};
use serde::Serialize;

/// What an ELF file says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ElfFacts {
    /// `e_machine`.
    pub machine: u16,
    /// 32 or 64.
    pub bits: u8,
    /// Whether its numbers begin with the most significant byte.
    pub is_big_endian: bool,
    /// What names this build, in hexadecimal digits.
    pub build_id: Option<String>,
    /// The loader that it asks for.
    pub interpreter: Option<String>,
    /// The libraries that it needs.
    pub needed: Vec<String>,
    /// Its own name as a library.
    pub soname: Option<String>,
    /// `static` or `dynamic`.
    pub linkage: &'static str,
    /// `none`, `partial` or `full`.
    pub relro: &'static str,
    /// Whether it can be loaded anywhere.
    pub is_position_independent: bool,
    /// Whether its stack is not executable.
    pub has_nx: bool,
    /// Whether its symbol table was taken out.
    pub is_stripped: bool,
    /// What the Go linker left in it.
    pub go: Option<GoFacts>,
    /// What the Rust compiler left in it.
    pub rust: Option<RustFacts>,
    /// The signature behind a kernel module, which is not verified.
    pub module_signature: Option<ModuleSignatureFacts>,
}

impl From<&Elf> for ElfFacts {
    fn from(elf: &Elf) -> Self {
        Self {
            machine: elf.machine,
            bits: elf.bits,
            is_big_endian: elf.is_big_endian,
            build_id: hex(&elf.build_id),
            interpreter: elf.interpreter.clone(),
            needed: elf.needed.clone(),
            soname: elf.soname.clone(),
            linkage: match elf.linkage {
                Linkage::Static => "static",
                Linkage::Dynamic => "dynamic",
            },
            relro: match elf.relro {
                Relro::None => "none",
                Relro::Partial => "partial",
                Relro::Full => "full",
            },
            is_position_independent: elf.is_position_independent,
            has_nx: elf.has_nx,
            is_stripped: elf.is_stripped,
            go: elf.go.as_ref().map(GoFacts::from),
            rust: elf.rust.as_ref().map(RustFacts::from),
            module_signature: elf.module_signature.as_ref().map(ModuleSignatureFacts::from),
        }
    }
}

/// What the Go linker left in a program.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GoFacts {
    /// Version of the toolchain.
    pub go_version: String,
    /// Path of the main package.
    pub path: Option<String>,
    /// The main module.
    pub module: Option<LibraryFacts>,
    /// Modules it was built with.
    pub dependencies: Vec<LibraryFacts>,
    /// Revision of its source.
    pub revision: Option<String>,
}

impl From<&GoBuild> for GoFacts {
    fn from(go: &GoBuild) -> Self {
        Self {
            go_version: go.go_version.clone(),
            path: go.path.clone(),
            module: go.module.as_ref().map(LibraryFacts::from),
            dependencies: go.dependencies.iter().map(LibraryFacts::from).collect(),
            revision: go.revision.clone(),
        }
    }
}

/// What the Rust compiler left in a program.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RustFacts {
    /// The compiler.
    pub compiler: Option<String>,
    /// Crates it was built with.
    pub crates: Vec<LibraryFacts>,
}

impl From<&RustBuild> for RustFacts {
    fn from(rust: &RustBuild) -> Self {
        Self { compiler: rust.compiler.clone(), crates: rust.crates.iter().map(LibraryFacts::from).collect() }
    }
}

/// A module or crate with its version.
#[derive(Clone, Debug, Serialize)]
pub struct LibraryFacts {
    /// Its name or path.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl From<&Library> for LibraryFacts {
    fn from(library: &Library) -> Self {
        Self { name: library.name.clone(), version: library.version.clone() }
    }
}

/// The signature behind a kernel module.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleSignatureFacts {
    /// Name of the signer.
    pub signer: Option<String>,
    /// Serial number or key identifier of the signer, in hexadecimal digits.
    pub key_id: Option<String>,
    /// Digest that was signed.
    pub digest: Option<String>,
}

impl From<&ModuleSignature> for ModuleSignatureFacts {
    fn from(signature: &ModuleSignature) -> Self {
        Self {
            signer: signature.signer.clone(),
            key_id: hex(&signature.key_id),
            digest: signature.digest.clone(),
        }
    }
}

fn hex(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| HEXLOWER.encode(bytes))
}
