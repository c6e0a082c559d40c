//! ordain-reconciler-engine: see ARCHITECTURE.md.
