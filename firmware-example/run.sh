#!/bin/sh
# Builds the firmware and runs it under QEMU.
#
#   ./run.sh [-b BOARD] [-m BUNDLE.mwt] [-p PROGRAM] [-r PROFILE] [-c | -n] [FILE...]
#
#   -b  mps2-an386 (Cortex-M4F, the default), mps2-an500 (M7), mps3-an547 (M55),
#       netduinoplus2 (STM32F405: 1 MB and 128 KB), virt (RISC-V), or a file of your own: boards/README.md
#   -m  the bundle, instead of model.mwt
#   -p  firmware-example (the default), or one of src/bin
#   -c, --cycles  on an M4F or M7, gives modelled cycles of each phase beside its instructions (tools/cycles/cortex_m.h)
#   -r  a build profile of Cargo.toml, or dev, instead of release
#   -n  builds alone and prints the program's path
#   FILE  what the program reads: for firmware-example raw bytes of images, one image after the other
#
# Exit status 3: the machine lacks a tool, which is named together with what to install.
set -eu

board=mps2-an386 bin=firmware-example profile=release build_only= cycles=
while getopts b:m:p:r:cn-: option; do
    [ "$option ${OPTARG:-}" != "- cycles" ] || option=c
    case $option in
        b) board=$OPTARG ;;
        m) MWT_BUNDLE=$(realpath "$OPTARG"); export MWT_BUNDLE ;;
        p) bin=$OPTARG ;;
        c) cycles=yes ;;
        r) profile=$OPTARG ;;
        n) build_only=yes ;;
        *) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
files=
for file; do files="$files,arg=$(realpath "$file")"; done
case $board in *.x) board=$(realpath "$board") ;; esac
cd "$(dirname "$0")"

# A board is a file: a linker script with facts in its first comment.
case $board in *.x) ;; *) board=boards/$board.x ;; esac
if [ ! -f "$board" ]; then
    echo "no such board: $board; there are $(cd boards && echo *.x | sed 's/\.x//g')" >&2
    exit 2
fi
fact() { sed -n "s/^ \* $1: *//p" "$board"; }
export MWT_BOARD="$PWD/$board"
[ "${board#/}" = "$board" ] || MWT_BOARD=$board
target=$(fact target) flags=$(fact flags) core=$(fact core) emulator=$(fact qemu) chip=$(fact chip)
if [ -z "$target" ]; then
    echo "$board does not say 'target:' (boards/README.md)" >&2
    exit 2
fi
board=$(basename "$board" .x)

# A program that needs a feature has its name.
features=
! grep -q "^$bin = \[" Cargo.toml || features="--features $bin"

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
cargo build --quiet --profile "$profile" --bin "$bin" --target "$target" $features $std
[ "$profile" != dev ] || profile=debug
program=$CARGO_TARGET_DIR/$target/$profile/$bin
if [ -n "$build_only" ]; then
    realpath "$program"
    exit
fi

if [ -z "$emulator" ]; then
    if [ -z "$chip" ]; then
        echo "$board has neither 'qemu:' nor 'chip:' (boards/README.md): flash $(realpath "$program")" >&2
        exit 2
    fi
    if ! command -v probe-rs >/dev/null; then
        echo "no probe-rs to flash $(realpath "$program"): https://probe.rs/docs/getting-started/installation" >&2
        exit 3
    fi
    exec probe-rs run --chip "$chip" "$program"
fi
qemu=${emulator%% *}
if ! command -v "$qemu" >/dev/null; then
    package=$qemu
    [ "$qemu" != qemu-system-riscv32 ] || package=qemu-system-misc
    echo "no $qemu: on Debian 'apt-get install --no-install-recommends $package'" >&2
    exit 3
fi
# icount makes a run repeatable: one virtual nanosecond per instruction.
semihosting=enable=on,target=native,arg=firmware$files
if [ -n "$cycles" ]; then
    if [ -z "$core" ]; then
        echo "there is no model of the cycles of $board" >&2
        exit 2
    fi
    if ! command -v cc >/dev/null; then
        echo "no C compiler for QEMU's plugin: on Debian 'apt-get install --no-install-recommends gcc libc6-dev'" >&2
        exit 3
    fi
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cc -O2 -shared -fPIC ../tools/cycles/cortex_m_cycles.c -o "$folder/cycles.so"
    status=0
    $emulator -nographic -icount shift=0 -semihosting-config "$semihosting" -kernel "$program" \
        -plugin "$folder/cycles.so,cpu=$core,laps=$folder/laps" >"$folder/report" || status=$?
    # A line's phases lie between the readings that it made of the counter; what lies before the first is none of them.
    awk -v laps="$folder/laps" '
        function lap() { getline pair < laps; split(pair, numbers, " "); return numbers[2] }
        / instructions / {
            line = $0
            sub(/ logits.*/, "", line)
            count = split(substr(line, index(line, " instructions ") + 14), phases, " ")
            lap()
            cycles = " cycles"
            for (i = 1; i < count; i += 2) cycles = cycles " " phases[i] " " lap()
            sub(/ logits/, cycles " logits")
        }
        { print }' "$folder/report"
    exit $status
fi
exec $emulator -nographic -icount shift=0 -semihosting-config "$semihosting" -kernel "$program"
