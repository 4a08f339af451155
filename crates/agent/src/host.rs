//! What this machine says of itself.

use std::fs;

use wire::link::v1;

/// The greeting of this machine, less what changes: id and position.
pub(crate) fn hello() -> v1::Hello {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim_matches('"').to_owned()).unwrap_or_default()
    };
    v1::Hello {
        protocol: wire::link::PROTOCOL,
        host_name: text(system.nodename()),
        os_platform: field("NAME"),
        os_version: field("VERSION_ID"),
        kernel: text(system.release()),
        architecture: text(system.machine()),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: sys::process::boot_id().unwrap_or_default(),
        addresses: addresses(),
        inspection_version: model::inspection::VERSION,
        ..Default::default()
    }
}

/// The IPv4 addresses of this machine, as the kernel's own routing table lists them: no loopback.
fn addresses() -> Vec<String> {
    let table = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut found = std::collections::BTreeSet::new();
    let mut address = "";
    for line in table.lines().map(str::trim) {
        if let Some(host) = line.strip_prefix("|-- ") {
            address = host;
        } else if line.ends_with("host LOCAL") && !address.starts_with("127.") {
            found.insert(address.to_owned());
        }
    }
    found.into_iter().collect()
}
