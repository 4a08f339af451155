//! What kernel this is, and what it offers to a guard. For the emulated machines of `cargo xtask vm-test`: there
//! the kernel is a stock one, and all of this must be there.

#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use sys::fanotify::permission::{About, PermissionGroup};

#[test]
fn this_is_a_kernel_that_can_guard() {
    if !tests::is_private() {
        return;
    }
    let kernel = rustix::system::uname();
    let modules = fs::read_to_string("/sys/kernel/security/lsm").expect("the list of security modules");
    println!("Linux {}", kernel.release().to_string_lossy());
    println!("security modules: {}", modules.trim());
    println!("IMA: {}", Path::new("/sys/kernel/security/ima").is_dir());
    println!("types for BPF programs: {}", Path::new("/sys/kernel/btf/vmlinux").is_file());
    println!(
        "programs that deny: {}",
        sys::bpf::probe().map_or_else(|why| why.to_string(), |()| "yes".to_owned())
    );
    println!("fanotify with permissions: {}", PermissionGroup::new(About::Execs).is_ok());
    sys::bpf::probe().expect("a stock kernel takes programs that deny");
    assert!(PermissionGroup::new(About::Execs).is_ok());
}
