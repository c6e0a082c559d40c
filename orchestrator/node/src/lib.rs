//! ordain-orchestrator-node: see ARCHITECTURE.md.
