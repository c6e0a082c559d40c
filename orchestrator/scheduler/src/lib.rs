//! ordain-orchestrator-scheduler: see ARCHITECTURE.md.
