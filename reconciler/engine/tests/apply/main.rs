//! How a set of objects reaches a cluster: the engine against the bundled API server, in one process.
//!
//! One file per promise. Everything waits for what has to become true; nothing is measured in seconds.

mod adoption;
mod basics;
mod crowd;
mod deletions;
mod drift;
mod hooks;
mod isolation;
mod order;
mod phases;
mod rest;
mod stages;
mod tap;
mod trouble;
mod waves;
mod why;
mod world;
