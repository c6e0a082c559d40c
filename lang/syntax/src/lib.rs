//! ordain-lang-syntax: see ARCHITECTURE.md.
