//! Linker settings, so that a start touches less memory: relocations in their short form, and an order of functions.
//!
//! The program is position-independent and full of tables of pointers; the usual form of relocations makes the loader
//! read and write a few megabytes more before `main`. glibc reads the short form since 2.36, and a linker that does not
//! know it (before binutils 2.38) says so and goes on. The order is `layout.ld`, which LLD and GNU ld read; whoever
//! chose another linker gets that linker's order.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=layout.ld");
    let value = |key: &str| env::var(key).unwrap_or_default();
    if value("CARGO_CFG_TARGET_OS") != "linux" || value("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    let is_chosen = value("CARGO_ENCODED_RUSTFLAGS").contains("fuse-ld")
        || env::var_os("RUSTC_LINKER").is_some();
    if value("OPT_LEVEL") != "0" && !is_chosen {
        let folder = value("CARGO_MANIFEST_DIR");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/layout.ld");
    }
}
