//! Small portable executables, made as a linker makes them.

const FILE_ALIGNMENT: usize = 0x200;
const SECTION_ALIGNMENT: u32 = 0x1000;
const HEADERS: usize = 0x400;
const POINTER: usize = 0x80;

/// What a file is made of.
pub(super) struct Program {
    pub(super) is_plus: bool,
    pub(super) characteristics: u16,
    pub(super) subsystem: u16,
    /// Name and bytes of each section, in the order of their addresses.
    sections: Vec<(&'static [u8; 8], Vec<u8>)>,
    directories: [(u32, u32); 16],
    /// Behind the last section.
    pub(super) overlay: Vec<u8>,
    /// What the certificate table holds, without its alignment.
    pub(super) certificates: Vec<u8>,
}

impl Program {
    pub(super) fn new(is_plus: bool) -> Self {
        Self {
            is_plus,
            characteristics: 0x22,
            subsystem: 3,
            sections: Vec::new(),
            directories: [(0, 0); 16],
            overlay: Vec::new(),
            certificates: Vec::new(),
        }
    }

    /// A program with code, imports and a version resource.
    pub(super) fn usual(is_plus: bool) -> Self {
        let mut program = Self::new(is_plus);
        program.section(b".text\0\0\0", (0..=255).cycle().take(1_024).collect());
        program.imports(&[
            ("KERNEL32.dll", &[Import::Name("ExitProcess"), Import::Name("GetProcAddress")]),
            ("WS2_32.dll", &[Import::Ordinal(115), Import::Name("WSASocketW")]),
            ("mfc42.dll", &[Import::Ordinal(7)]),
        ]);
        program.version(&version(
            "040904B0",
            "040904b0",
            &[("CompanyName", "Example"), ("ProductName", "Thing")],
        ));
        program
    }

    /// Puts a section behind the others and says at which address it will be.
    pub(super) fn section(&mut self, name: &'static [u8; 8], bytes: Vec<u8>) -> u32 {
        let address = self.next_address();
        self.sections.push((name, bytes));
        address
    }

    pub(super) fn directory(&mut self, index: usize, address: u32, size: u32) {
        self.directories[index] = (address, size);
    }

    pub(super) fn next_address(&self) -> u32 {
        let pages = |bytes: &Vec<u8>| (bytes.len() as u32).div_ceil(SECTION_ALIGNMENT).max(1);
        SECTION_ALIGNMENT * (1 + self.sections.iter().map(|(_, bytes)| pages(bytes)).sum::<u32>())
    }

    /// A section with an import directory.
    pub(super) fn imports(&mut self, libraries: &[(&str, &[Import])]) {
        let address = self.next_address();
        let bytes = imports(address, self.is_plus, libraries);
        self.directory(1, address, 20 * (libraries.len() as u32 + 1));
        self.section(b".idata\0\0", bytes);
    }

    /// A section with a resource tree that holds one version resource.
    pub(super) fn version(&mut self, resource: &[u8]) {
        let address = self.next_address();
        let mut tree = Vec::new();
        for (id, to) in [(16_u32, 0x8000_0018_u32), (1, 0x8000_0030), (0x407, 0x48)] {
            tree.extend([0; 14]);
            tree.extend(1_u16.to_le_bytes());
            tree.extend(id.to_le_bytes());
            tree.extend(to.to_le_bytes());
        }
        tree.extend((address + 0x58).to_le_bytes());
        tree.extend((resource.len() as u32).to_le_bytes());
        tree.extend([0; 8]);
        tree.extend_from_slice(resource);
        self.directory(2, address, tree.len() as u32);
        self.section(b".rsrc\0\0\0", tree);
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.headers();
        for (_, section) in &self.sections {
            bytes.extend_from_slice(section);
            bytes.resize(bytes.len().next_multiple_of(FILE_ALIGNMENT), 0);
        }
        bytes.extend_from_slice(&self.overlay);
        if !self.certificates.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            let at = self.optional_at() + if self.is_plus { 112 } else { 96 } + 4 * 8;
            let (offset, length) = (bytes.len() as u32, self.certificates.len() as u32);
            bytes[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            bytes[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&self.certificates);
        }
        bytes
    }

    pub(super) const fn optional_at(&self) -> usize {
        POINTER + 24
    }

    fn headers(&self) -> Vec<u8> {
        let optional_length: u16 = if self.is_plus { 240 } else { 224 };
        let mut bytes = b"MZ".to_vec();
        bytes.resize(0x3c, 0);
        bytes.extend((POINTER as u32).to_le_bytes());
        bytes.resize(POINTER, 0);
        bytes.extend(b"PE\0\0");
        bytes.extend(if self.is_plus { 0x8664_u16 } else { 0x14c }.to_le_bytes());
        bytes.extend((self.sections.len() as u16).to_le_bytes());
        bytes.extend(1_600_000_000_u32.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(optional_length.to_le_bytes());
        bytes.extend(self.characteristics.to_le_bytes());
        let optional = bytes.len();
        bytes.resize(optional + usize::from(optional_length), 0);
        let mut put = |at: usize, value: &[u8]| {
            bytes[optional + at..optional + at + value.len()].copy_from_slice(value);
        };
        put(0, &if self.is_plus { 0x20b_u16 } else { 0x10b }.to_le_bytes());
        put(32, &SECTION_ALIGNMENT.to_le_bytes());
        put(36, &(FILE_ALIGNMENT as u32).to_le_bytes());
        put(56, &self.next_address().to_le_bytes());
        put(60, &(HEADERS as u32).to_le_bytes());
        put(64, &0xdead_beef_u32.to_le_bytes());
        put(68, &self.subsystem.to_le_bytes());
        let directories = if self.is_plus { 112 } else { 96 };
        put(directories - 4, &16_u32.to_le_bytes());
        for (index, (address, size)) in self.directories.iter().enumerate() {
            put(directories + 8 * index, &address.to_le_bytes());
            put(directories + 8 * index + 4, &size.to_le_bytes());
        }
        self.table(&mut bytes);
        bytes.resize(HEADERS, 0);
        bytes
    }

    fn table(&self, bytes: &mut Vec<u8>) {
        let (mut address, mut offset) = (SECTION_ALIGNMENT, HEADERS as u32);
        for (name, section) in &self.sections {
            let length = section.len() as u32;
            let raw = length.next_multiple_of(FILE_ALIGNMENT as u32);
            bytes.extend(*name);
            for value in [length, address, raw, offset, 0, 0, 0, 0x6000_0020] {
                bytes.extend(value.to_le_bytes());
            }
            address += SECTION_ALIGNMENT * length.div_ceil(SECTION_ALIGNMENT).max(1);
            offset += raw;
        }
    }
}

/// What is imported.
pub(super) enum Import {
    Name(&'static str),
    Ordinal(u16),
}

/// Descriptors, then for each library its two tables, its name and the names of what is imported.
fn imports(address: u32, is_plus: bool, libraries: &[(&str, &[Import])]) -> Vec<u8> {
    let width = if is_plus { 8 } else { 4 };
    let mut bytes = vec![0; 20 * (libraries.len() + 1)];
    for (index, (library, symbols)) in libraries.iter().enumerate() {
        let mut entries = Vec::new();
        for symbol in *symbols {
            entries.push(match symbol {
                Import::Name(name) => {
                    let at = address + bytes.len() as u32;
                    bytes.extend([0, 0]);
                    bytes.extend(name.as_bytes());
                    bytes.extend([0, 0]);
                    u64::from(at)
                }
                Import::Ordinal(ordinal) => u64::from(*ordinal) | if is_plus { 1 << 63 } else { 1 << 31 },
            });
        }
        let name_at = address + bytes.len() as u32;
        bytes.extend(library.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let mut tables = [0; 2];
        for table in &mut tables {
            *table = address + bytes.len() as u32;
            for entry in entries.iter().chain([&0]) {
                bytes.extend(&entry.to_le_bytes()[..width]);
            }
        }
        for (at, value) in [(0, tables[0]), (12, name_at), (16, tables[1])] {
            bytes[20 * index + at..20 * index + at + 4].copy_from_slice(&value.to_le_bytes());
        }
    }
    bytes
}

/// A block of a version resource. `length` of a text counts characters.
pub(super) fn block(key: &str, is_text: bool, length: usize, value: &[u8], inner: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(u16::from(is_text).to_le_bytes());
    bytes.extend(wide(key));
    bytes.extend([0, 0]);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(value);
    for inner in inner {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(inner);
    }
    let length = (bytes.len() as u16).to_le_bytes();
    bytes[..2].copy_from_slice(&length);
    bytes
}

/// A string of a version resource.
pub(super) fn string(key: &str, value: &str) -> Vec<u8> {
    let value = format!("{value}\0");
    block(key, true, value.encode_utf16().count(), &wide(&value), &[])
}

/// A version resource with one table of strings, `key`, and a translation, given as the hexadecimal key of a table.
pub(super) fn version(key: &str, translation: &str, strings: &[(&str, &str)]) -> Vec<u8> {
    let table =
        block(key, true, 0, &[], &strings.iter().map(|(key, value)| string(key, value)).collect::<Vec<_>>());
    version_of(&[table], translation)
}

/// A version resource with these tables.
pub(super) fn version_of(tables: &[Vec<u8>], translation: &str) -> Vec<u8> {
    let number = |range| u16::from_str_radix(&translation[range], 16).unwrap().to_le_bytes();
    let pair = [number(0..4), number(4..8)].concat();
    let strings = block("StringFileInfo", true, 0, &[], tables);
    let languages = block("VarFileInfo", true, 0, &[], &[block("Translation", false, 4, &pair, &[])]);
    let mut fixed = 0xfeef_04bd_u32.to_le_bytes().to_vec();
    fixed.resize(52, 0);
    block("VS_VERSION_INFO", false, fixed.len(), &fixed, &[strings, languages])
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
