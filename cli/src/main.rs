//! The binary `ordain`.

fn main() {}
