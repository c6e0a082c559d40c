//! ordain-orchestrator-client: see ARCHITECTURE.md.
