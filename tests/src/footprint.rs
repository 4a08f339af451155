//! What processes take of a machine: memory and processor time.

use std::fs;

use anyhow::Context;

/// Memory of some processes together, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// What is theirs alone, and of what is shared their part.
    pub pss: u64,
    /// All that is mapped and present; what two share counts twice.
    pub rss: u64,
}

/// A process and all that descend from it, itself first.
pub fn family(pid: i32) -> Vec<i32> {
    std::iter::once(pid).chain(crate::up::family(pid)).collect()
}

/// The memory of a process now.
///
/// # Errors
/// When it is gone.
pub fn memory(pid: i32) -> anyhow::Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .with_context(|| format!("process {pid} is gone"))?;
    let bytes = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        value.and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
    };
    Ok(Memory { pss: bytes("Pss:"), rss: bytes("Rss:") })
}

/// The processor time that the present threads of a process have had, in nanoseconds.
///
/// # Errors
/// When it is gone.
pub fn processor_time(pid: i32) -> anyhow::Result<u64> {
    let threads =
        fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} is gone"))?;
    let of_thread = |entry: fs::DirEntry| {
        // Nanoseconds on a processor, nanoseconds waiting for one, turns.
        let told = fs::read_to_string(entry.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse::<u64>().ok()
    };
    Ok(threads.flatten().filter_map(of_thread).sum())
}

/// The name of a process and its first arguments that are words.
pub fn role(pid: i32) -> String {
    let arguments = sys::processes::arguments(pid).unwrap_or_default();
    let words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    words.take_while(|word| !word.starts_with('-')).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let own = std::process::id().cast_signed();
        let memory = memory(own).unwrap();
        assert!(0 < memory.pss && memory.pss <= memory.rss);
        assert!(processor_time(own).unwrap() > 0);
        assert_eq!(family(own)[0], own);
    }
}
