#!/usr/bin/env bash
# mwt-train from the packages that a registry would get, without what else lies in the repository.
#
#   tools/packaged.sh check           # compiles it, with what the workspace's own build left in target
#   tools/packaged.sh install ROOT    # cargo install, into ROOT/bin
set -euo pipefail
root=${2:+$(realpath -m "$2")}
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
packages=target/packaged
cargo package --quiet --no-verify --allow-dirty --locked -p mwt-core -p mwt-infer -p mwt-train
rm -rf $packages && mkdir -p $packages
from=()
for crate in mwt-core mwt-infer mwt-train; do
    tar -xzf "target/package/$crate-$version.crate" -C $packages
    # As if they lay in the registry already.
    [ $crate = mwt-train ] || from+=(--config "patch.crates-io.$crate.path = \"$PWD/$packages/$crate-$version\"")
done
# A workspace of its own, though it lies in this one's folder.
trainer=$packages/mwt-train-$version
printf '\n[workspace]\n' >>"$trainer/Cargo.toml"
# The versions of all else are those of the package.
awk 'BEGIN { RS = ""; ORS = "\n\n" } /name = "mwt-(core|infer)"/ { gsub(/\n(source|checksum) = [^\n]*/, "") } 1' \
    "$trainer/Cargo.lock" >"$packages/lock" && mv "$packages/lock" "$trainer/Cargo.lock"

case "${1:-}" in
check)
    # The profile of this workspace, for which everything is compiled already.
    export CARGO_TARGET_DIR=$PWD/target CARGO_PROFILE_DEV_OPT_LEVEL=2 CARGO_PROFILE_DEV_DEBUG=line-tables-only
    cargo check --bins --locked "${from[@]}" --manifest-path "$trainer/Cargo.toml"
    ;;
install)
    # With the profile that the packages bring, as anyone's cargo would.
    cargo install --locked "${from[@]}" --path "$trainer" --root "${root:?a folder to install into}" \
        --target-dir "${CARGO_TARGET_DIR:-target/install}"
    ;;
*)
    sed -n '2,6s/^# \?//p' "$0" >&2
    exit 2
    ;;
esac
