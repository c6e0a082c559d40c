//! `cargo xtask`: the project's own chores, in Rust so that they run wherever the project builds.

mod check;
mod editors;
mod schemas;
mod setup;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask TASK

tasks:
  demo           install what is missing, then `cargo run --release -- demo`
  test           install what is missing, then `cargo test --workspace`
  check          format check, clippy with warnings denied, all tests; what CI runs
  check --fast   the same without clippy
  schemas WHEEL_DIR [PROTOBUF_TSV]
                 regenerate schemas/facts/v1.*.tsv from the unpacked kubernetes-validate wheel
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["demo"] => setup::then(&["run", "--release", "--", "demo"]),
        ["test"] => setup::then(&["test", "--workspace"]),
        ["check"] => check::run(true),
        ["check", "--fast"] => check::run(false),
        ["schemas", wheel] => schemas::run(
            Path::new(wheel),
            &root().join("../shared/data/protobuf-fields.tsv"),
        ),
        ["schemas", wheel, protobuf] => schemas::run(Path::new(wheel), Path::new(protobuf)),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Returns the root of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask/ lies in the root")
        .to_path_buf()
}
