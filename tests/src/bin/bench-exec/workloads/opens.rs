//! (c) Opening, reading and closing a file that nobody executes.

use tests::userland::Userland;

use super::{Sizes, Workload};
use crate::table::MICROSECONDS;

const FILE: &str = "/bench/page";

pub(super) fn furnish(userland: &Userland) -> anyhow::Result<()> {
    userland.put(FILE, &[b'x'; 4096])
}

pub(super) fn workload(sizes: &Sizes) -> Workload {
    Workload {
        title: "(c) open, read, close",
        unit: MICROSECONDS,
        arguments: Box::new(|opens| ["open", FILE, &opens.to_string()].map(str::to_owned).into()),
        size: sizes.opens,
        divides: false,
        execs: 0.0,
        most: 1.03,
    }
}
