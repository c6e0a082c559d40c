//! What an editor asks: plain functions over a project, and one module for the protocol.
