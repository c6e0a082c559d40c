//! ordain-orchestrator-controllers: see ARCHITECTURE.md.
