//! ordain-orchestrator-store: see ARCHITECTURE.md.
