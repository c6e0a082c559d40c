//! ordain-lang-eval: see ARCHITECTURE.md.
