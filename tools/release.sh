#!/usr/bin/env bash
# Makes what a release has, with checksums, in a folder:
#
#   tools/release.sh FOLDER [crates|program|c|page|wheel|arduino]...
#
# all of it unless parts are named. What is released is the last commit, built in a folder of its own: the same commit and the
# same toolchain give the same bytes, wherever the repository and cargo's home lie.
set -euo pipefail
out=$(realpath -m "${1:?"usage: tools/release.sh FOLDER [crates|program|c|page|wheel|arduino]..."}")
shift
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- crates program c page wheel arduino
mkdir -p "$out"
work=$(mktemp -d)
# The same one everywhere: cargo takes the paths of crates outside a workspace into its hashes, and so into the order of what is
# compiled.
source=/tmp/mwt-release
mkdir "$source" || { echo "$source is there: another release is made, or one was broken off" >&2; exit 1; }
trap 'rm -rf "$work" "$source"' EXIT
git archive HEAD | tar -x -C "$source"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
host=$(rustc -vV | sed -n 's/^host: //p')
# Times and paths of this machine stay out of what is built.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
cd "$source"
export RUSTFLAGS="--remap-path-prefix=$PWD=mwt --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"

# A folder of $work as OUT/FOLDER.tar.gz.
archive() {
    cp LICENSE-MIT LICENSE-APACHE "$work/$1/"
    tar --sort=name --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' --mtime="@$SOURCE_DATE_EPOCH" \
        -C "$work" -cf - "$1" | gzip -9n >"$out/$1.tar.gz"
}

for part in "$@"; do
    case $part in
    crates)
        # CI builds them; see tools/packaged.sh for mwt-train.
        cargo package --quiet --no-verify --locked -p mwt-core -p mwt-infer -p mwt-train
        for crate in mwt-core mwt-infer mwt-train; do
            cp "target/package/$crate-$version.crate" "$out/"
        done
        ;;
    program)
        # As [package.metadata.binstall] of mwt-train expects it.
        cargo build --quiet --release --locked -p mwt-train
        name=mwt-train-$version-$host
        mkdir "$work/$name"
        cp target/release/mwt-train README.md CHANGELOG.md "$work/$name/"
        archive "$name"
        ;;
    c)
        name=mwt-c-$version-$host
        mwt-ffi/install.sh "$work/$name" >/dev/null
        archive "$name"
        ;;
    page)
        web/run.sh build >/dev/null
        cp -r web/dist "$work/mwt-page-$version"
        archive "mwt-page-$version"
        ;;
    wheel)
        (cd mwt-python && maturin build --quiet --release --locked --zig --compatibility manylinux2014 --out "$out")
        ;;
    arduino)
        mwt-ffi/arduino/package.sh "$work/MWT" >/dev/null
        archive MWT
        mv "$out/MWT.tar.gz" "$out/mwt-arduino-$version.tar.gz"
        ;;
    *)
        echo "no such part: $part" >&2
        exit 2
        ;;
    esac
done
(cd "$out" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
cat "$out/SHA256SUMS"
