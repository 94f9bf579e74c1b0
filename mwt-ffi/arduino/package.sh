#!/bin/sh
# Makes a library for the Arduino IDE, arduino-cli and PlatformIO: a folder to put among the other libraries.
#
#   ./package.sh FOLDER [BUNDLE.mwt]
#
# as ./package.sh ~/Arduino/libraries/MWT. The example gets the bundle, models/mnist-micro.mwt unless given. With MWT_ONLY, as
# MWT_ONLY=cortex-m4/fpv4-sp-d16-hard, only the archive of such boards is built. Exit status 3: the machine lacks a target or a
# tool, which is named.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: ./package.sh FOLDER [BUNDLE.mwt], as ./package.sh ~/Arduino/libraries/MWT" >&2
    exit 2
fi
mkdir -p "$1"
library=$(cd "$1" && pwd)
bundle=$(realpath "${2:-$(dirname "$0")/../../models/mnist-micro.mwt}")
cd "$(dirname "$0")/.."
out=${CARGO_TARGET_DIR:-target}

cp arduino/library.properties arduino/library.json arduino/platformio.py "$library/"
mkdir -p "$library/src" "$library/examples/Digits"
cp include/mwt.h "$library/src/"
cp arduino/examples/Digits/Digits.ino "$library/examples/Digits/"
{
    echo "// $(basename "$bundle"), $(wc -c <"$bundle" | tr -d ' ') bytes."
    echo '#include <stdint.h>'
    echo 'alignas(64) static const uint8_t mwt_bundle[] = {'
    od -An -v -tu1 "$bundle" | sed 's/  */,/g; s/^,//; s/$/,/'
    echo '};'
} >"$library/examples/Digits/model.h"

# One archive for each processor and each way to hand over floats, in the folder where the IDE looks for it:
# src/CPU/FPU-ABI, from the flags of the board's compiler.
archive() {
    target=$1 flags=$2
    shift 2
    case " $* " in *" ${MWT_ONLY:-$1} "*) ;; *) return ;; esac
    CARGO_TARGET_DIR=$out/arduino/$target RUSTFLAGS="${RUSTFLAGS:-} $flags" ./build-for.sh "$target" || exit $?
    for place in "$@"; do
        mkdir -p "$library/src/$place"
        cp "$out/arduino/$target/$target/release/libmwt.a" "$library/src/$place/"
        if command -v arm-none-eabi-strip >/dev/null; then
            arm-none-eabi-strip --strip-debug "$library/src/$place/libmwt.a"
        fi
    done
}
m4="-C target-cpu=cortex-m4"
m33="-C target-cpu=cortex-m33"
archive thumbv7em-none-eabihf "$m4" cortex-m4/fpv4-sp-d16-hard \
    cortex-m7/fpv4-sp-d16-hard cortex-m7/fpv5-sp-d16-hard cortex-m7/fpv5-d16-hard
# Floats in the core's registers, computed by the FPU all the same: what Arduino's mbed cores ask for.
archive thumbv7em-none-eabi "$m4 -C target-feature=+vfp4d16sp" cortex-m4/fpv4-sp-d16-softfp \
    cortex-m7/fpv4-sp-d16-softfp cortex-m7/fpv5-sp-d16-softfp cortex-m7/fpv5-d16-softfp
archive thumbv8m.main-none-eabihf "$m33" cortex-m33/fpv5-sp-d16-hard
archive thumbv8m.main-none-eabi "$m33 -C target-feature=+fp-armv8d16sp" cortex-m33/fpv5-sp-d16-softfp
echo "in $library: library.properties, library.json, src/mwt.h, src/cortex-*/*/libmwt.a, examples/Digits"
