//! ordain-schemas: see ARCHITECTURE.md.
