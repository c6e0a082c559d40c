//! ordain-orchestrator-api: see ARCHITECTURE.md.
