#!/bin/sh
# Builds a C example for a Cortex-M4F and runs it under QEMU.
#
#   ./board.sh [-t TARGET] [-r PROFILE] classify|gestures|tour|stack ARGUMENT...
#
#   -t  thumbv7em-none-eabihf (the default), or thumbv7em-none-eabi, which has no use for the FPU
#   -r  a build profile of Cargo.toml, or dev, instead of release
#
# With release the link leaves `mwt_abort`, the panic hook, undefined: that it links proves that no panic is reachable.
# Exit status 3: the machine lacks a tool, which is named together with what to install.
set -eu

target=thumbv7em-none-eabihf profile=release
while getopts t:r: option; do
    case $option in
        t) target=$OPTARG ;;
        r) profile=$OPTARG ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
name=$1
shift
arguments=
for argument; do
    [ ! -e "$argument" ] || argument=$(realpath "$argument")
    arguments="$arguments,arg=$argument"
done
cd "$(dirname "$0")"
for tool in arm-none-eabi-gcc qemu-system-arm; do
    if ! command -v $tool >/dev/null; then
        echo "no $tool: on Debian 'apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm'" >&2
        exit 3
    fi
done
case $target in
    *hf) float="-mfloat-abi=hard -mfpu=fpv4-sp-d16" ;;
    *) float=-mfloat-abi=soft ;;
esac

# Stack sizes for those who add them up; the flag is an unstable one.
variable=CARGO_TARGET_$(echo "$target" | tr 'a-z-' 'A-Z_')_RUSTFLAGS
export RUSTC_BOOTSTRAP=1 "$variable=-Zemit-stack-sizes"
./build-for.sh "$target" "$profile"
out=${CARGO_TARGET_DIR:-target}/$target/$([ "$profile" = dev ] && echo debug || echo "$profile")
# What the optimizer does not see to be unreachable, with another profile, goes to the start.
abort=
[ "$profile" = release ] || abort=-Wl,--defsym=mwt_abort=reset
link() {
    arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb $float -O2 -Wall -Wextra -Iinclude -Wl,--gc-sections \
        -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Texamples/mps2.ld --specs=rdimon.specs "$@" \
        "examples/$name.c" examples/mps2.c "$out/libmwt.a" -lc -lrdimon
}
link $abort -o "$out/$name.elf"
# All of the library, with the call graph that a test walks.
link -Wl,--no-gc-sections -Wl,--defsym=mwt_abort=reset -o "$out/all.elf"
exec qemu-system-arm -M mps2-an386 -nographic -kernel "$out/$name.elf" \
    -semihosting-config "enable=on,target=native,arg=$name$arguments"
