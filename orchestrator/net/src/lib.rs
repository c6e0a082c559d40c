//! ordain-orchestrator-net: see ARCHITECTURE.md.
