//! One linker setting: relocations in their short form, so that a start touches less memory.
//!
//! The program is position-independent and full of tables of pointers; the usual form makes the loader read
//! and write a few megabytes more before `main`. glibc reads the short form since 2.36, and a linker that does
//! not know it (before binutils 2.38) says so and goes on.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
