//! ordain-reconciler-source: see ARCHITECTURE.md.
