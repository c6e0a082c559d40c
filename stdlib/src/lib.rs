//! ordain-stdlib: see ARCHITECTURE.md.
