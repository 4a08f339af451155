//! What an ELF file says of itself, in and out.

use model::inspection::{Elf, GoBuild, Library, Linkage, ModuleSignature, Relro, RustBuild};

use super::bounds::{NAME, bytes, cut, few, first, some_text, text};
use crate::link::{Malformed, v1};

/// Libraries that a file needs, and what it was built with.
const LIBRARIES: usize = 512;
/// A build id, or a key's.
const ID: usize = 64;

fn shortened(text: Option<&String>) -> Option<String> {
    text.map(|text| cut(text, NAME))
}

fn some_name(text: Option<String>, what: &'static str) -> Result<Option<String>, Malformed> {
    some_text(text, NAME, what)
}

impl From<&Elf> for v1::Elf {
    fn from(elf: &Elf) -> Self {
        let Elf {
            machine,
            bits,
            is_big_endian,
            build_id,
            interpreter,
            needed,
            soname,
            linkage,
            relro,
            is_position_independent,
            has_nx,
            is_stripped,
            go,
            rust,
            module_signature,
        } = elf;
        Self {
            machine: u32::from(*machine),
            bits: u32::from(*bits),
            is_big_endian: *is_big_endian,
            build_id: first(build_id, ID),
            interpreter: shortened(interpreter.as_ref()),
            needed: needed.iter().take(LIBRARIES).map(|name| cut(name, NAME)).collect(),
            soname: shortened(soname.as_ref()),
            is_dynamic: *linkage == Linkage::Dynamic,
            relro: match relro {
                Relro::None => 0,
                Relro::Partial => 1,
                Relro::Full => 2,
            },
            is_position_independent: *is_position_independent,
            has_nx: *has_nx,
            is_stripped: *is_stripped,
            go: go.as_ref().map(Into::into),
            rust: rust.as_ref().map(Into::into),
            module_signature: module_signature.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Elf> for Elf {
    type Error = Malformed;

    fn try_from(elf: v1::Elf) -> Result<Self, Malformed> {
        if elf.needed.len() > LIBRARIES {
            return Err(Malformed("needed"));
        }
        let needed = elf.needed.into_iter().map(|name| text(name, NAME, "needed"));
        Ok(Self {
            machine: u16::try_from(elf.machine).map_err(|_| Malformed("machine"))?,
            bits: u8::try_from(elf.bits).map_err(|_| Malformed("bits"))?,
            is_big_endian: elf.is_big_endian,
            build_id: bytes(elf.build_id, ID, "build id")?,
            interpreter: some_name(elf.interpreter, "interpreter")?,
            needed: needed.collect::<Result<_, _>>()?,
            soname: some_name(elf.soname, "soname")?,
            linkage: if elf.is_dynamic { Linkage::Dynamic } else { Linkage::Static },
            relro: match elf.relro {
                0 => Relro::None,
                1 => Relro::Partial,
                2 => Relro::Full,
                _ => return Err(Malformed("relro")),
            },
            is_position_independent: elf.is_position_independent,
            has_nx: elf.has_nx,
            is_stripped: elf.is_stripped,
            go: elf.go.map(TryInto::try_into).transpose()?,
            rust: elf.rust.map(TryInto::try_into).transpose()?,
            module_signature: elf.module_signature.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<&GoBuild> for v1::GoBuild {
    fn from(go: &GoBuild) -> Self {
        let GoBuild { go_version, path, module, dependencies, revision } = go;
        Self {
            go_version: cut(go_version, NAME),
            path: shortened(path.as_ref()),
            module: module.as_ref().map(Into::into),
            dependencies: dependencies.iter().take(LIBRARIES).map(Into::into).collect(),
            revision: shortened(revision.as_ref()),
        }
    }
}

impl TryFrom<v1::GoBuild> for GoBuild {
    type Error = Malformed;

    fn try_from(go: v1::GoBuild) -> Result<Self, Malformed> {
        Ok(Self {
            go_version: text(go.go_version, NAME, "go version")?,
            path: some_name(go.path, "go path")?,
            module: go.module.map(TryInto::try_into).transpose()?,
            dependencies: few(go.dependencies, LIBRARIES, "go dependencies")?,
            revision: some_name(go.revision, "go revision")?,
        })
    }
}

impl From<&RustBuild> for v1::RustBuild {
    fn from(rust: &RustBuild) -> Self {
        let RustBuild { compiler, crates } = rust;
        Self {
            compiler: shortened(compiler.as_ref()),
            crates: crates.iter().take(LIBRARIES).map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::RustBuild> for RustBuild {
    type Error = Malformed;

    fn try_from(rust: v1::RustBuild) -> Result<Self, Malformed> {
        Ok(Self {
            compiler: some_name(rust.compiler, "rust compiler")?,
            crates: few(rust.crates, LIBRARIES, "rust crates")?,
        })
    }
}

impl From<&Library> for v1::Library {
    fn from(library: &Library) -> Self {
        let Library { name, version } = library;
        Self { name: cut(name, NAME), version: cut(version, NAME) }
    }
}

impl TryFrom<v1::Library> for Library {
    type Error = Malformed;

    fn try_from(library: v1::Library) -> Result<Self, Malformed> {
        Ok(Self {
            name: text(library.name, NAME, "library")?,
            version: text(library.version, NAME, "library's version")?,
        })
    }
}

impl From<&ModuleSignature> for v1::ModuleSignature {
    fn from(signature: &ModuleSignature) -> Self {
        let ModuleSignature { signer, key_id, digest } = signature;
        Self {
            signer: shortened(signer.as_ref()),
            key_id: first(key_id, ID),
            digest: shortened(digest.as_ref()),
        }
    }
}

impl TryFrom<v1::ModuleSignature> for ModuleSignature {
    type Error = Malformed;

    fn try_from(signature: v1::ModuleSignature) -> Result<Self, Malformed> {
        Ok(Self {
            signer: some_name(signature.signer, "module's signer")?,
            key_id: bytes(signature.key_id, ID, "key id")?,
            digest: some_name(signature.digest, "module's digest")?,
        })
    }
}
