//! What inspection says of a file's bytes.

/// What a file is, as the compatible API's `fileType` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum FileType {
    /// Windows PE: programs, libraries, drivers, EFI.
    PortableExecutable,
    /// Linux and Unix ELF.
    Elf,
    /// Apple Mach-O.
    MachO,
    /// Text that begins with an interpreter line.
    Script,
    /// Windows installer database.
    Msi,
    /// Cabinet archive.
    Cab,
    /// Java archive.
    Jar,
    /// Zip archive of no finer kind.
    Zip,
    /// Android package.
    Apk,
    /// Office document.
    Office,
    /// PDF document.
    Pdf,
    /// None of these.
    #[default]
    Unknown,
}

impl FileType {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::PortableExecutable,
        Self::Elf,
        Self::MachO,
        Self::Script,
        Self::Msi,
        Self::Cab,
        Self::Jar,
        Self::Zip,
        Self::Apk,
        Self::Office,
        Self::Pdf,
        Self::Unknown,
    ];

    /// The word on the wire and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PortableExecutable => "PortableExecutable",
            Self::Elf => "Elf",
            Self::MachO => "MachO",
            Self::Script => "Script",
            Self::Msi => "Msi",
            Self::Cab => "Cab",
            Self::Jar => "Jar",
            Self::Zip => "Zip",
            Self::Apk => "Apk",
            Self::Office => "Office",
            Self::Pdf => "Pdf",
            Self::Unknown => "Unknown",
        }
    }

    /// The type that `word` means; an unfamiliar word is `Unknown`.
    pub fn from_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.word() == word).unwrap_or_default()
    }

    /// Whether a machine can run or load it, so that its copies are worth knowing.
    pub const fn is_executable(self) -> bool {
        matches!(self, Self::PortableExecutable | Self::Elf | Self::MachO | Self::Script | Self::Jar)
    }
}

/// What is known of a file from its bytes alone.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Facts {
    /// Length in bytes.
    pub size: u64,
    /// What it is.
    pub file_type: FileType,
    /// Finer than the type, in our own words: `SharedObject`, `Program`, `Relocatable`, `Core`, …
    pub subtype: Option<String>,
}

impl Facts {
    /// Whether it is a Windows portable executable.
    pub fn is_pe(&self) -> bool {
        self.file_type == FileType::PortableExecutable
    }
}
