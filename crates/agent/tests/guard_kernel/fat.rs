//! An empty FAT16 filesystem, for machines without a program that makes one.

const SECTOR: usize = 512;
const SECTORS: u32 = 65_536;
const SECTORS_OF_CLUSTER: u8 = 8;
/// Room for two bytes for each of 8,192 clusters.
const SECTORS_OF_TABLE: u16 = 32;
const NAMES_IN_ROOT: u16 = 512;
const DISK: u8 = 0xf8;

/// Its image.
pub(crate) fn empty() -> Vec<u8> {
    let mut image = vec![0; SECTOR * SECTORS as usize];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[0xeb, 0x3c, 0x90]);
    put(3, b"MSDOS5.0");
    put(11, &(SECTOR as u16).to_le_bytes());
    put(13, &[SECTORS_OF_CLUSTER]);
    // One sector before the table, and one table.
    put(14, &1_u16.to_le_bytes());
    put(16, &[1]);
    put(17, &NAMES_IN_ROOT.to_le_bytes());
    put(21, &[DISK]);
    put(22, &SECTORS_OF_TABLE.to_le_bytes());
    put(32, &SECTORS.to_le_bytes());
    put(38, &[0x29, 1, 2, 3, 4]);
    put(43, b"NO NAME    FAT16   ");
    put(510, &[0x55, 0xaa]);
    put(SECTOR, &[DISK, 0xff, 0xff, 0xff]);
    image
}
