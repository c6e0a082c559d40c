//! ordain-reconciler-plan: see ARCHITECTURE.md.
