//! ordain-benches: see ARCHITECTURE.md.
