//! ordain-tests: see ARCHITECTURE.md.
