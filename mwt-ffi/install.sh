#!/bin/sh
# Builds the C library and installs it with its header, for pkg-config (`mwt`) and CMake (`find_package(mwt)`).
#
#   ./install.sh PREFIX [TARGET]
#
# as ./install.sh /usr/local, or ./install.sh sdk thumbv7em-none-eabihf. What is installed may be moved.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: ./install.sh PREFIX [TARGET], as ./install.sh /usr/local" >&2
    exit 2
fi
mkdir -p "$1"
prefix=$(cd "$1" && pwd)
target=${2:-}
cd "$(dirname "$0")"
out=${CARGO_TARGET_DIR:-target}
if [ -n "$target" ]; then
    ./build-for.sh "$target"
else
    cargo build --quiet --release --locked
fi
library=$out/${target:+$target/}release/libmwt.a
# As Windows' own compiler calls it.
[ -f "$library" ] || library=$out/${target:+$target/}release/mwt.lib

mkdir -p "$prefix/include" "$prefix/lib/pkgconfig" "$prefix/lib/cmake/mwt"
cp include/mwt.h "$prefix/include/"
cp "$library" "$prefix/lib/"
cp cmake/mwt.pc "$prefix/lib/pkgconfig/"
cp cmake/mwt-config.cmake cmake/mwt-config-version.cmake "$prefix/lib/cmake/mwt/"
echo "installed in $prefix: include/mwt.h, lib/$(basename "$library"), lib/pkgconfig, lib/cmake"
