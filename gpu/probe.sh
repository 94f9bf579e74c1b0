#!/usr/bin/env bash
# Whether this machine has what training with CUDA needs: a driver for CUDA 13, NVIDIA's compiler of kernels (NVRTC) and
# its headers. One line for each thing that is missing. Exit status 1 if there is one.
#
#   gpu/probe.sh [FILE]        FILE gets CUDA_PATH and LD_LIBRARY_PATH, to be read by a shell
#
# Environment: CUDA_PATH (looked at first), PYTHON (python3), ROOT (a folder in the place of /: tests of this script).
set -euo pipefail
root=${ROOT:-} python=${PYTHON:-python3} library_path=${LD_LIBRARY_PATH:-}
missing=0 driver_dir=''
miss() {
    echo "missing: $*"
    missing=1
}
# Whether version $1 is at least $2.
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -1)" = "$2" ]; }
first() { for file in "$@"; do [ ! -e "$file" ] || { echo "$file"; return; }; done; }

# The driver's nodes: in a container they are passed through with the GPU; WSL has another.
if [ -z "$(first "$root/dev/nvidiactl" "$root/dev/dxg")" ]; then
    miss "no NVIDIA driver: there is no /dev/nvidiactl"
elif ! smi=$(timeout 20 nvidia-smi 2>&1); then
    miss "no NVIDIA driver that answers: nvidia-smi says: $(head -1 <<<"$smi")"
else
    driver=$(grep -o 'Driver Version: *[0-9.]*' <<<"$smi" | grep -o '[0-9.]*$' || true)
    supports=$(grep -o 'CUDA Version: *[0-9.]*' <<<"$smi" | grep -o '[0-9.]*$' || true)
    echo "found: $(timeout 20 nvidia-smi --query-gpu=name,memory.total --format=csv,noheader | head -1), driver $driver"
    at_least "${driver:-0}" 580 || miss "driver $driver is too old for CUDA 13: it takes 580 or later"
    # Some containers have the driver's library where no loader looks.
    if ! { ldconfig -p 2>/dev/null || true; } | grep -q 'libcuda\.so\.1 '; then
        for dir in ${library_path//:/ } "$root/usr/local/nvidia/lib64" "$root/usr/lib/wsl/lib"; do
            [ ! -e "$dir/libcuda.so.1" ] || { driver_dir=$dir; break; }
        done
        [ -n "$driver_dir" ] || miss "no library of the driver: libcuda.so.1"
    fi
fi

# Where CUDA may be. nvcc is often a link into the version in use, or the one of a distribution, whose root is /usr.
roots=()
[ -z "${CUDA_PATH:-}" ] || roots+=("$CUDA_PATH")
if nvcc=$(command -v nvcc); then
    nvcc=$(readlink -f "$nvcc")
    roots+=("${nvcc%/bin/nvcc}")
fi
roots+=("$root/usr/local/cuda" "$root"/usr/local/cuda-13* "$root/opt/cuda" "$root/usr")
# Packages of PyPI, which PyTorch brings too.
while read -r dir; do roots+=("$dir/cu13"); done < <("$python" -c '
import importlib.util
found = importlib.util.find_spec("nvidia")
print(*(found.submodule_search_locations if found else []), sep="\n")' 2>/dev/null || true)

# burn gives the compiler CUDA_PATH/include alone. A folder `stubs` holds libraries that cannot run: it is not among these.
headers='' library=''
for dir in "${roots[@]}"; do
    include=$dir/include
    if [ -z "$headers" ] && [ -e "$include/cuda_runtime.h" ] && [ -e "$include/crt/host_config.h" ] && [ -e "$include/mma.h" ]; then
        headers=$dir
    fi
    [ -n "$library" ] || library=$(first "$dir"/{lib64,lib,targets/x86_64-linux/lib,lib/x86_64-linux-gnu}/libnvrtc.so.13)
done
if [ -n "$headers" ]; then
    echo "found: headers in $headers/include$([ -e "$headers/include/cccl" ] || echo ', without cccl')"
else
    miss "no headers of CUDA 13 (cuda_runtime.h, crt/host_config.h, mma.h): pip install nvidia-cuda-runtime nvidia-cuda-crt"
fi
library_dir=${library%/*}
if [ -z "$library" ]; then
    miss "no NVRTC of CUDA 13 (libnvrtc.so.13): pip install nvidia-cuda-nvrtc"
elif builtins=$(compgen -G "$library_dir/libnvrtc-builtins.so.13*" | head -1); then
    version=$(grep -o '13\.[0-9]*' <<<"${builtins##*/}" | head -1)
    echo "found: NVRTC $version in $library_dir"
    # Such code does not load: it is of a newer PTX than the driver knows.
    at_least "${supports:-$version}" "$version" || miss "NVRTC $version is newer than the driver, which knows CUDA $supports"
else
    miss "no libnvrtc-builtins.so.13 beside $library"
fi

if [ -n "${1:-}" ]; then
    paths=$library_dir${driver_dir:+:$driver_dir}${library_path:+:$library_path}
    printf 'export CUDA_PATH=%q LD_LIBRARY_PATH=%q\n' "$headers" "$paths" >"$1"
fi
exit "$missing"
