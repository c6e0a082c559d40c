//! A static site of a project's types and functions.
