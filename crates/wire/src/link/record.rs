//! Records on a machine's disk: length, version and checksum, then the message.
//!
//! A record is `length: u32 LE`, `version: u8`, `crc32c: u32 LE` over version and body, then the body. A file
//! of records that ends within one was torn by a crash; one whose middle does not check out is damaged.

use super::v1;

/// The version written; older ones stay readable.
pub const VERSION: u8 = 1;
const HEAD: usize = 9;

/// What may stand in a record file.
pub trait Record: prost::Message + Default {}

impl Record for v1::LedgerRecord {}
impl Record for v1::SpoolRecord {}
impl Record for v1::VaultRecord {}

/// One record's bytes.
pub fn encode(record: &impl Record) -> Vec<u8> {
    let body = record.encode_to_vec();
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.push(VERSION);
    bytes.extend_from_slice(&checksum(VERSION, &body).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// What the start of a byte string holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<R> {
    /// A record, and how many bytes it took.
    Record(R, usize),
    /// Nothing more.
    End,
    /// The bytes end within a record.
    Torn,
    /// A whole record that does not check out, and why.
    Damaged(&'static str),
}

/// Reads the record at the start of `bytes`.
pub fn next<R: Record>(bytes: &[u8]) -> Next<R> {
    if bytes.is_empty() {
        return Next::End;
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else { return Next::Torn };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let sum = u32::from_le_bytes([head[5], head[6], head[7], head[8]]);
    let Some(body) = rest.get(..length) else { return Next::Torn };
    if checksum(head[4], body) != sum {
        return Next::Damaged("its checksum does not fit");
    }
    if head[4] != VERSION {
        return Next::Damaged("it was written by a newer version");
    }
    R::decode(body)
        .map_or(Next::Damaged("it is no such message"), |record| Next::Record(record, HEAD + length))
}

fn checksum(version: u8, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&[version]), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_one_after_the_other() {
        let record = v1::SpoolRecord { record: Some(v1::spool_record::Record::Stored(7)) };
        let mut bytes = encode(&record);
        let one = bytes.len();
        bytes.extend(encode(&record));
        assert_eq!(next::<v1::SpoolRecord>(&bytes), Next::Record(record.clone(), one));
        assert_eq!(next::<v1::SpoolRecord>(&bytes[one..]), Next::Record(record, one));
        assert_eq!(next::<v1::SpoolRecord>(&bytes[2 * one..]), Next::End);
    }

    #[test]
    fn each_cut_is_torn_and_each_flipped_bit_is_noticed() {
        let record = v1::SpoolRecord { record: Some(v1::spool_record::Record::Stored(7)) };
        let bytes = encode(&record);
        for end in 1..bytes.len() {
            assert_eq!(next::<v1::SpoolRecord>(&bytes[..end]), Next::Torn);
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(next::<v1::SpoolRecord>(&flipped), Next::Record(..) | Next::End), "bit {bit}");
        }
    }
}
