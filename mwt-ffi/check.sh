#!/bin/sh
# Builds a C example for the host and for a Cortex-M4F, runs both on the same file (the second under QEMU) and
# compares what they print bit for bit.
#
#   ./check.sh [-t TARGET] [-p classify|gestures|tour] BUNDLE.mwt FILE
#
# Exit status 3: the machine lacks a tool, which is named together with what to install.
set -eu

name=classify target=thumbv7em-none-eabihf
while getopts t:p: option; do
    case $option in
        t) target=$OPTARG ;;
        p) name=$OPTARG ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -ne 2 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
bundle=$(realpath "$1") file=$(realpath "$2")
cd "$(dirname "$0")"
if ! command -v cc >/dev/null; then
    echo "no cc: on Debian 'apt-get install gcc libc6-dev'" >&2
    exit 3
fi
out=${CARGO_TARGET_DIR:-target}
mkdir -p "$out"

# The host's kernels are the portable ones of the board here, or the bits could not agree.
cargo build --quiet --release --features portable
cc -O2 -Wall -Wextra -Iinclude "examples/$name.c" "$out/release/libmwt.a" -lm -o "$out/$name"

# What a program says before it fails is shown, or nobody would know why.
failed() {
    cat "$2" >&2
    echo "check.sh: $name failed $1 with $bundle and $file (exit status $3)" >&2
    exit "$3"
}
"$out/$name" "$bundle" "$file" > "$out/$name-host.txt" || failed "on the host" "$out/$name-host.txt" $?
./board.sh -t "$target" "$name" "$bundle" "$file" > "$out/$name-board.txt" ||
    failed "for the board, in building or under QEMU," "$out/$name-board.txt" $?
if ! cmp "$out/$name-host.txt" "$out/$name-board.txt"; then
    echo "check.sh: host and board print other things: compare $out/$name-host.txt and $out/$name-board.txt" >&2
    exit 1
fi
cat "$out/$name-board.txt"
