//! ordain-lang-project: see ARCHITECTURE.md.
