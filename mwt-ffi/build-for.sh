#!/bin/sh
# Builds the C library for a target: ./build-for.sh TARGET [PROFILE], where PROFILE is one of Cargo.toml, or dev. With
# rustup's core for the target, or else with a rustc that comes with the source of core, as Debian's. Exit status 3:
# there is neither.
set -eu

target=$1 profile=${2:-release}
cd "$(dirname "$0")"
if [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    cargo build --quiet --profile "$profile" --locked --target "$target"
elif [ -d /usr/lib/rustlib/src/rust/library ]; then
    RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc cargo build --quiet --profile "$profile" --locked --target "$target" -Zbuild-std=core
else
    echo "no core for $target: run 'rustup target add $target', or on Debian" >&2
    echo "'apt-get install --no-install-recommends rustc-web rust-web-src' besides rustup" >&2
    exit 3
fi
