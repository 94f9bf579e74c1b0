#!/bin/sh
# Builds a C example for a Cortex-M4F or M55 and runs it under QEMU.
#
#   ./board.sh [-t TARGET] [-r PROFILE] classify|gestures|tour|stack ARGUMENT...
#
#   -t  thumbv7em-none-eabihf (the default), thumbv7em-none-eabi, which has no use for the FPU, or
#       thumbv8m.main-none-eabihf, which is built for an M55
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
core=cortex-m4 machine=mps2-an386 memory=4M
case $target in
    thumbv8m*) core=cortex-m55 machine=mps3-an547 memory=512K float=-mfloat-abi=hard ;;
    *hf) float="-mfloat-abi=hard -mfpu=fpv4-sp-d16" ;;
    *) float=-mfloat-abi=soft ;;
esac

# Stack sizes for those who add them up; the flag is an unstable one.
variable=CARGO_TARGET_$(echo "$target" | tr 'a-z.-' 'A-Z__')_RUSTFLAGS
flags=-Zemit-stack-sizes
[ $core = cortex-m4 ] || flags="$flags -Ctarget-cpu=$core"
export RUSTC_BOOTSTRAP=1 "$variable=$flags"
./build-for.sh "$target" "$profile"
out=${CARGO_TARGET_DIR:-target}/$target/$([ "$profile" = dev ] && echo debug || echo "$profile")
# What the optimizer does not see to be unreachable, with another profile, goes to the start.
abort=
[ "$profile" = release ] || abort=-Wl,--defsym=mwt_abort=reset
link() {
    size=$1
    shift
    arm-none-eabi-gcc -mcpu=$core -mthumb $float -O2 -Wall -Wextra -Iinclude -Wl,--gc-sections \
        -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,--defsym=memory="$size" -Texamples/mps2.ld --specs=rdimon.specs "$@" \
        "examples/$name.c" examples/mps2.c "$out/libmwt.a" -lc -lrdimon
}
link $memory $abort -o "$out/$name.elf"
# All of the library, with the call graph that a test walks.
link 4M -Wl,--no-gc-sections -Wl,--defsym=mwt_abort=reset -o "$out/all.elf"
exec qemu-system-arm -M $machine -nographic -kernel "$out/$name.elf" \
    -semihosting-config "enable=on,target=native,arg=$name$arguments"
