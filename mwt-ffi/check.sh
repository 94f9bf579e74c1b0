#!/bin/sh
# Builds a C example for the host and for a Cortex-M4F, runs both on the same file (the second under QEMU) and
# compares what they print bit for bit. The bare-metal link leaves `mwt_abort`, the panic hook, undefined: that it
# links proves that no panic is reachable.
#
#   ./check.sh [-p classify|gestures] BUNDLE.mwt FILE
#
# Exit status 3: the machine lacks a tool, which is named together with what to install.
set -eu

name=classify
if [ "$1" = -p ]; then
    name=$2
    shift 2
fi
bundle=$(realpath "$1") file=$(realpath "$2")
cd "$(dirname "$0")"
for tool in arm-none-eabi-gcc qemu-system-arm cc; do
    if ! command -v $tool >/dev/null; then
        echo "no $tool: on Debian 'apt-get install gcc gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm'" >&2
        exit 3
    fi
done
target=thumbv7em-none-eabihf
out=${CARGO_TARGET_DIR:-target}
mkdir -p "$out"

# The host's kernels are the portable ones of the board here, or the bits could not agree.
cargo build --quiet --release --features portable
cc -O2 -Wall -Wextra -Iinclude "examples/$name.c" "$out/release/libmwt.a" -lm -o "$out/$name"

# Stack sizes for those who add them up; the flag is an unstable one.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_THUMBV7EM_NONE_EABIHF_RUSTFLAGS=-Zemit-stack-sizes

./build-for.sh $target
link() {
    arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -O2 -Wall -Wextra \
        -Iinclude -Wl,--gc-sections -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Texamples/mps2.ld \
        --specs=rdimon.specs "$@" "examples/$name.c" examples/mps2.c "$out/$target/release/libmwt.a" -lc -lrdimon
}
link -o "$out/$name.elf"
link -Wl,--no-gc-sections -Wl,--defsym=mwt_abort=0 -o "$out/stack.elf"

# What a program says before it fails is shown, or nobody would know why.
"$out/$name" "$bundle" "$file" > "$out/$name-host.txt" || { cat "$out/$name-host.txt"; exit 1; }
qemu-system-arm -M mps2-an386 -nographic -kernel "$out/$name.elf" \
    -semihosting-config "enable=on,target=native,arg=$name,arg=$bundle,arg=$file" > "$out/$name-board.txt" ||
    { cat "$out/$name-board.txt"; exit 1; }
cmp "$out/$name-host.txt" "$out/$name-board.txt"
cat "$out/$name-board.txt"
