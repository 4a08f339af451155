//! What a portable executable says of itself, in and out.

use model::inspection::{Pe, Section, Span, VersionInfo};
use model::{Md5, Sha1, Sha256};

use super::bounds::{TEXT, cut, digest, few, half, some_text, text};
use crate::link::{Malformed, v1};

/// Sections of a file.
const SECTIONS: usize = 96;
/// A section's name: eight bytes, each of which may have become three.
const SECTION_NAME: usize = 64;

impl From<&Pe> for v1::Pe {
    fn from(pe: &Pe) -> Self {
        let Pe {
            machine,
            characteristics,
            subsystem,
            compiled_at,
            is_dotnet,
            imphash,
            authentihash_sha1,
            authentihash_sha256,
            sections,
            section_count,
            overlay,
            version,
        } = pe;
        Self {
            machine: u32::from(*machine),
            characteristics: u32::from(*characteristics),
            subsystem: u32::from(*subsystem),
            compiled_at: *compiled_at,
            is_dotnet: *is_dotnet,
            imphash: imphash.map(|hash| hash.0.to_vec()).unwrap_or_default(),
            authentihash_sha1: authentihash_sha1.map(|hash| hash.0.to_vec()).unwrap_or_default(),
            authentihash_sha256: authentihash_sha256.map(|hash| hash.0.to_vec()).unwrap_or_default(),
            sections: sections.iter().take(SECTIONS).map(Into::into).collect(),
            section_count: u32::from(*section_count),
            overlay: overlay.map(|Span { offset, size }| v1::Span { offset, size }),
            version: version.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Pe> for Pe {
    type Error = Malformed;

    fn try_from(pe: v1::Pe) -> Result<Self, Malformed> {
        Ok(Self {
            machine: half(pe.machine, "machine")?,
            characteristics: half(pe.characteristics, "characteristics")?,
            subsystem: half(pe.subsystem, "subsystem")?,
            compiled_at: pe.compiled_at,
            is_dotnet: pe.is_dotnet,
            imphash: digest(&pe.imphash, "imphash")?.map(Md5),
            authentihash_sha1: digest(&pe.authentihash_sha1, "authentihash")?.map(Sha1),
            authentihash_sha256: digest(&pe.authentihash_sha256, "authentihash")?.map(Sha256),
            sections: few(pe.sections, SECTIONS, "sections")?,
            section_count: half(pe.section_count, "section count")?,
            overlay: pe.overlay.map(|v1::Span { offset, size }| Span { offset, size }),
            version: pe.version.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<&Section> for v1::PeSection {
    fn from(section: &Section) -> Self {
        let Section { name, virtual_size, raw_size, characteristics, entropy_thousandths } = section;
        Self {
            name: cut(name, SECTION_NAME),
            virtual_size: *virtual_size,
            raw_size: *raw_size,
            characteristics: *characteristics,
            entropy_thousandths: u32::from(*entropy_thousandths),
        }
    }
}

impl TryFrom<v1::PeSection> for Section {
    type Error = Malformed;

    fn try_from(section: v1::PeSection) -> Result<Self, Malformed> {
        Ok(Self {
            name: text(section.name, SECTION_NAME, "section name")?,
            virtual_size: section.virtual_size,
            raw_size: section.raw_size,
            characteristics: section.characteristics,
            entropy_thousandths: half(section.entropy_thousandths, "entropy")?,
        })
    }
}

impl From<&VersionInfo> for v1::VersionInfo {
    fn from(version: &VersionInfo) -> Self {
        let VersionInfo {
            company_name,
            product_name,
            product_version,
            file_version,
            file_description,
            internal_name,
            original_filename,
            legal_copyright,
        } = version;
        let cut = |text: &Option<String>| text.as_deref().map(|text| cut(text, TEXT));
        Self {
            company_name: cut(company_name),
            product_name: cut(product_name),
            product_version: cut(product_version),
            file_version: cut(file_version),
            file_description: cut(file_description),
            internal_name: cut(internal_name),
            original_filename: cut(original_filename),
            legal_copyright: cut(legal_copyright),
        }
    }
}

impl TryFrom<v1::VersionInfo> for VersionInfo {
    type Error = Malformed;

    fn try_from(version: v1::VersionInfo) -> Result<Self, Malformed> {
        let text = |text| some_text(text, TEXT, "version information");
        Ok(Self {
            company_name: text(version.company_name)?,
            product_name: text(version.product_name)?,
            product_version: text(version.product_version)?,
            file_version: text(version.file_version)?,
            file_description: text(version.file_description)?,
            internal_name: text(version.internal_name)?,
            original_filename: text(version.original_filename)?,
            legal_copyright: text(version.legal_copyright)?,
        })
    }
}
