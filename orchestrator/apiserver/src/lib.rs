//! ordain-orchestrator-apiserver: see ARCHITECTURE.md.
