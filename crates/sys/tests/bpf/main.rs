//! The LSM programs against a kernel that takes them: `cargo xtask vm-test`.

mod smoke;
