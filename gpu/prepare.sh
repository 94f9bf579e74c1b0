#!/usr/bin/env bash
# Builds and packs into one folder all that gpu/check.sh needs on a machine with a GPU, which has neither Rust nor a
# network: programs, golden vectors, PyTorch's benchmark, these scripts, and if given data sets and the caches of last
# time. Refused where it is more than such a machine takes.
#
#   gpu/prepare.sh [FOLDER]          target/gpu-kit if none is named
#   cd FOLDER && ./check.sh SECONDS  there
#
# Environment: BACKEND (cuda), FEATURES (BACKEND: what to build with), DATA (a folder of data sets, each as the trainer
# reads it and called as in gpu/rows.txt), SETS (which of them: all), CACHES (what the last check brought back:
# results.tar.gz, or a folder with it or its parts), PROFILE (quick: that of the golden test), MIB (64: the most).
set -euo pipefail
kit=$(realpath -m "${1:-$(dirname "$0")/../target/gpu-kit}")
data=${DATA:+$(realpath "$DATA")} caches=${CACHES:+$(realpath "$CACHES")}
cd "$(dirname "$0")/.."
backend=${BACKEND:-cuda} mib=${MIB:-64}
# With `quick` the golden test is built in half the time, as what it tests runs on the device. It takes 11 MiB packed.
features=${FEATURES:-$backend} profile=${PROFILE:-quick}
target=${CARGO_TARGET_DIR:-target}

cargo build --release --locked -p mwt-train --features "$features"
golden=$(cargo test --profile "$profile" --locked -p mwt-tests --no-default-features --features "cpu,$features" \
    --test golden_gpu --no-run --message-format=json | grep -o '"executable":"[^"]*/golden_gpu-[^"]*"' | cut -d'"' -f4)

staged=$(mktemp -d)
chmod 755 "$staged"
trap 'rm -rf "$staged"' EXIT
rm -rf "$kit"
mkdir -p "$kit" "$staged"/{target/release,tests,tools/bench,tools/reference}
# Fast compression: what counts is that it fits. Names in a fixed order, so that the same files give the same archive.
pack() { tar -c --sort=name --owner=0 --group=0 --mtime=@0 -C "$2" "${@:3}" | xz -1 -T0 >"$kit/$1.tar.xz"; }

strip -o "$staged/target/release/mwt-train" "$target/release/mwt-train"
strip -o "$staged/target/golden_gpu" "$golden"
cp -r gpu cubecl.toml "$staged/"
cp -r tests/fixtures "$staged/tests/"
cp tools/bench/train_bench.py "$staged/tools/bench/"
cp tools/reference/mwt_torch.py "$staged/tools/reference/"
# burn keeps its caches in the folder `target` beside the nearest Cargo.toml.
echo '# Marks where target/ is; there is nothing to build.' >"$staged/Cargo.toml"
pack program "$staged" .
cp gpu/check.sh "$kit/"
# What the kernels are compiled from: caches of other sources are of no use.
find Cargo.lock mwt-core/src mwt-train/src -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1 >"$kit/source.txt"

if [ -n "$data" ]; then
    read -ra sets <<<"${SETS:-$(cd "$data" && echo *)}"
    mkdir "$staged/sets"
    ln -s "$data" "$staged/sets/data"
    pack data "$staged/sets" -h "${sets[@]/#/data/}"
fi
if [ -n "$caches" ]; then
    mkdir "$staged/caches"
    if [ -d "$caches" ]; then cat "$caches"/results.tar.gz*; else cat "$caches"; fi | tar -xz -C "$staged/caches"
    rm -rf "$staged/caches/results"
    # A compiled kernel is found again by its name, not by its source. Which way is fastest may still hold.
    if ! cmp -s "$kit/source.txt" "$staged/caches/source.txt"; then
        echo "prepare.sh: the sources have changed: compiled kernels of last time are left out"
        rm -rf "$staged/caches/target/cuda"
    fi
    rm -f "$staged/caches/source.txt"
    pack caches "$staged/caches" .
fi

mebibytes() { awk -v n="$(du -cb "$@" | tail -1 | cut -f1)" 'BEGIN { printf "%.1f", n / 1048576 }'; }
parts=''
for part in "$kit"/*.tar.xz; do parts+=", $(basename "$part" .tar.xz) $(mebibytes "$part")"; done
programs="mwt-train $(mebibytes "$staged/target/release/mwt-train"), golden_gpu $(mebibytes "$staged/target/golden_gpu") unpacked"
echo "$kit: $(mebibytes "$kit"/*) MiB of $mib$parts ($programs)"
if [ "$(du -cb "$kit"/* | tail -1 | cut -f1)" -gt $((mib << 20)) ]; then
    rm -rf "$kit"
    echo "prepare.sh: that is too much: name fewer data sets in SETS" >&2
    exit 1
fi
