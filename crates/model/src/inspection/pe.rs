//! What a portable executable says of itself.

use crate::digest::{Md5, Sha1, Sha256};

/// What a portable executable says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pe {
    /// `IMAGE_FILE_HEADER.Machine`.
    pub machine: u16,
    /// `IMAGE_FILE_HEADER.Characteristics`.
    pub characteristics: u16,
    /// `IMAGE_OPTIONAL_HEADER.Subsystem`.
    pub subsystem: u16,
    /// `IMAGE_FILE_HEADER.TimeDateStamp`, seconds since 1970 or, in a reproducible build, a part of a digest.
    pub compiled_at: u32,
    /// Whether it is a .NET assembly.
    pub is_dotnet: bool,
    /// MD5 over its imports as `pefile` makes it; none without imports.
    pub imphash: Option<Md5>,
    /// Authenticode digest, SHA-1.
    pub authentihash_sha1: Option<Sha1>,
    /// Authenticode digest, SHA-256.
    pub authentihash_sha256: Option<Sha256>,
    /// The first 96 sections.
    pub sections: Vec<Section>,
    /// How many sections the header claims.
    pub section_count: u16,
    /// What lies behind the last section and is no certificate table.
    pub overlay: Option<Span>,
    /// Its version resource.
    pub version: Option<VersionInfo>,
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Section {
    /// Its name, without the zero bytes behind it.
    pub name: String,
    /// Length in memory.
    pub virtual_size: u32,
    /// Length in the file, as the header says.
    pub raw_size: u32,
    /// `IMAGE_SECTION_HEADER.Characteristics`.
    pub characteristics: u32,
    /// Shannon entropy of its bytes in the file, in thousandths of a bit per byte: 0 to 8,000.
    pub entropy_thousandths: u16,
}

/// A range of bytes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// Its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// The strings of `VS_VERSIONINFO`: what its author claims.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct VersionInfo {
    /// `CompanyName`.
    pub company_name: Option<String>,
    /// `ProductName`.
    pub product_name: Option<String>,
    /// `ProductVersion`.
    pub product_version: Option<String>,
    /// `FileVersion`.
    pub file_version: Option<String>,
    /// `FileDescription`.
    pub file_description: Option<String>,
    /// `InternalName`.
    pub internal_name: Option<String>,
    /// `OriginalFilename`.
    pub original_filename: Option<String>,
    /// `LegalCopyright`.
    pub legal_copyright: Option<String>,
}
