#!/bin/sh
# Builds the page into web/dist, which any server of files can serve, and serves it.
#
#   ./run.sh [build|PORT]
#
# `build` only builds; the port is 8000 unless given. Exit status 3: the machine lacks a tool, which is named.
set -eu

cd "$(dirname "$0")"
target=wasm32-unknown-unknown
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    if ! command -v rustup >/dev/null || ! rustup target add $target; then
        echo "no std for $target: 'rustup target add $target'" >&2
        exit 3
    fi
fi
# One module for browsers with SIMD, one for the others.
cargo build --quiet --release --locked --target $target --target-dir target/plain
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+simd128" \
    cargo build --quiet --release --locked --target $target --target-dir target/simd

rm -rf dist
mkdir -p dist/models
cp page/* dist/
cp ../models/*.mwt dist/models/
cp target/plain/$target/release/mwt.wasm dist/mwt.wasm
cp target/simd/$target/release/mwt.wasm dist/mwt-simd.wasm
for module in dist/*.wasm; do
    bytes=$(wc -c <$module)
    echo "$module: $bytes bytes"
    if [ "$bytes" -gt 200000 ]; then
        echo "$module is above its budget of 200 000 bytes" >&2
        exit 1
    fi
done
[ "${1:-}" != build ] || exit 0
command -v python3 >/dev/null || { echo "no python3 to serve web/dist with" >&2; exit 3; }
echo "http://localhost:${1:-8000}/"
exec python3 -m http.server --bind 127.0.0.1 --directory dist "${1:-8000}"
