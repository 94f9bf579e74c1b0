#!/bin/sh
# Builds the firmware and runs it under QEMU.
#
#   ./run.sh [-b BOARD] [-m BUNDLE.mwt] [-p PROGRAM] [-n] [FILE...]
#
#   -b  mps2-an386 (Cortex-M4F, the default), mps2-an500 (M7), mps3-an547 (M55),
#       netduinoplus2 (STM32F405: 1 MB and 128 KB) or virt (RISC-V)
#   -m  the bundle, instead of model.mwt
#   -p  firmware-example (the default), or one of src/bin
#   -n  builds alone and prints the program's path
#   FILE  what the program reads: for firmware-example raw bytes of images, one image after the other
#
# Exit status 3: the machine lacks a tool, which is named together with what to install.
set -eu

board=mps2-an386 bin=firmware-example build_only=
while getopts b:m:p:n option; do
    case $option in
        b) board=$OPTARG ;;
        m) MWT_BUNDLE=$(realpath "$OPTARG"); export MWT_BUNDLE ;;
        p) bin=$OPTARG ;;
        n) build_only=yes ;;
        *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
files=
for file; do files="$files,arg=$(realpath "$file")"; done
cd "$(dirname "$0")"
export MWT_BOARD="$board"

qemu=qemu-system-arm package=qemu-system-arm flags=
case $board in
    mps2-an386 | netduinoplus2) target=thumbv7em-none-eabihf ;;
    mps2-an500) target=thumbv7em-none-eabihf flags=-Ctarget-cpu=cortex-m7 ;;
    mps3-an547) target=thumbv8m.main-none-eabihf flags=-Ctarget-cpu=cortex-m55 ;;
    virt) target=riscv32imafc-unknown-none-elf qemu=qemu-system-riscv32 package=qemu-system-misc ;;
    *) echo "no such board: $board" >&2; exit 2 ;;
esac

# An installed target, or else a rustc that comes with the library's source, from which core is built.
std= linker=rust-lld
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
    source=$(/usr/bin/rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library
    if [ ! -d "$source" ] || [ ! -x "$linker" ]; then
        echo "no core for $target: run 'rustup target add $target', or on Debian" >&2
        echo "'apt-get install --no-install-recommends rustc-web rust-web-src' besides rustup" >&2
        exit 3
    fi
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    std=-Zbuild-std=core
fi
variable=CARGO_TARGET_$(echo "$target" | tr 'a-z.-' 'A-Z__')
export "${variable}_LINKER=$linker" "${variable}_RUSTFLAGS=$flags"

# A folder each: the boards of one target differ in their memory, and switching would build all anew.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/$board"
cargo build --quiet --release --bin "$bin" --target "$target" $std
program=$CARGO_TARGET_DIR/$target/release/$bin
if [ -n "$build_only" ]; then
    realpath "$program"
    exit
fi

if ! command -v $qemu >/dev/null; then
    echo "no $qemu: on Debian 'apt-get install --no-install-recommends $package'" >&2
    exit 3
fi
# icount makes a run repeatable: one virtual nanosecond per instruction.
semihosting=enable=on,target=native,arg=firmware$files
[ $board != virt ] || set -- -bios none
[ $board = virt ] || set --
exec $qemu -M $board "$@" -nographic -icount shift=0 -semihosting-config "$semihosting" -kernel "$program"
