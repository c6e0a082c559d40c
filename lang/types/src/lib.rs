//! ordain-lang-types: see ARCHITECTURE.md.
