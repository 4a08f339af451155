//! rpm's own database (SUSE). Slots of 16 bytes say where the packages' blobs lie; all numbers little-endian.

use std::io;

use super::bytes::Order;
use super::{LONGEST, MOST, malformed};

pub(super) const MAGIC: &[u8] = b"RpmP";
const SLOT: &[u8] = b"Slot";
const BLOB: &[u8] = b"BlbS";
const END: &[u8] = b"BlbE";

const PAGE: usize = 4096;
/// Of a slot, of a blob's head, and of the blocks in which places are counted.
const UNIT: usize = 16;
/// The slots begin behind the database's head.
const FIRST: usize = 2;

pub(super) fn headers(bytes: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let order = Order::Little;
    if order.u32(bytes, 4) != Some(0) {
        return Err(malformed("it is of an unknown version"));
    }
    let pages = order.size(bytes, 12).and_then(|pages| pages.checked_mul(PAGE));
    let slots = pages.and_then(|length| bytes.get(FIRST * UNIT..length));
    let slots = slots.ok_or_else(|| malformed("its slots are not all there"))?;
    let mut headers = Vec::new();
    for slot in slots.chunks_exact(UNIT) {
        if !slot.starts_with(SLOT) {
            return Err(malformed("a slot is none"));
        }
        let package = order.u32(slot, 4);
        if package == Some(0) {
            continue;
        }
        if headers.len() >= MOST {
            return Err(malformed("it has too many packages"));
        }
        let blob = order.size(slot, 8).and_then(|block| blob(bytes, block, package));
        headers.push(blob.ok_or_else(|| malformed("a package is not where its slot says"))?.to_owned());
    }
    Ok(headers)
}

/// The blob of a package at a block: head, header, and an end that repeats the length.
fn blob(bytes: &[u8], block: usize, package: Option<u32>) -> Option<&[u8]> {
    let order = Order::Little;
    let at = bytes.get(block.checked_mul(UNIT)?..)?;
    let length = order.size(at, 12).filter(|length| *length <= LONGEST)?;
    let blob = at.get(UNIT..UNIT + length)?;
    // Between header and end there are zeros up to a block's end.
    let end = (UNIT + length + 12).next_multiple_of(UNIT);
    let tail = at.get(end - 12..end)?;
    let is_whole = at.starts_with(BLOB)
        && order.u32(at, 4) == package
        && order.size(tail, 4) == Some(length)
        && tail.ends_with(END);
    is_whole.then_some(blob)
}
