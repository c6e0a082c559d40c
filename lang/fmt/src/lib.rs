//! ordain-lang-fmt: see ARCHITECTURE.md.
