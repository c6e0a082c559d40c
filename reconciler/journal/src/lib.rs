//! ordain-reconciler-journal: see ARCHITECTURE.md.
