#!/usr/bin/env bash
# Tests of gpu/probe.sh and gpu/check.sh without a GPU: on folders and programs that only look like the real ones.
# shellcheck disable=SC2016
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
count=0
# expect WHAT TEXT FILE: the file has the text.
expect() {
    grep -qF -- "$2" "$3" || { echo "test.sh: $1: no '$2' in:" >&2; cat "$3" >&2; exit 1; }
    count=$((count + 1))
}
refuse() {
    ! grep -qF -- "$2" "$3" || { echo "test.sh: $1: '$2' in:" >&2; cat "$3" >&2; exit 1; }
    count=$((count + 1))
}
program() { cat >"$1"; chmod +x "$1"; }

# A machine with everything, of which each test takes something away.
machine() {
    rm -rf "${dir:?}/root" "${dir:?}/bin"
    local cuda=$dir/root/usr/local/cuda-13.0
    mkdir -p "$dir/root/dev" "$cuda"/{include/crt,include/cccl,lib64/stubs,bin} "$dir/bin"
    touch "$dir/root/dev/nvidiactl" "$cuda"/include/{cuda_runtime.h,mma.h,crt/host_config.h}
    touch "$cuda"/lib64/{libnvrtc.so.13,libnvrtc-builtins.so.13.0,stubs/libcuda.so}
    program "$cuda/bin/nvcc" <<<''
    ln -s "$cuda/bin/nvcc" "$dir/bin/nvcc"
    driver 580.159.04 13.0
    program "$dir/bin/ldconfig" <<<'echo "	libcuda.so.1 (libc6,x86-64) => /usr/lib/libcuda.so.1"'
    program "$dir/bin/python3" <<<'exit 1'
}
driver() {
    program "$dir/bin/nvidia-smi" <<<'case "$*" in *query*) echo "NVIDIA H100, 81559 MiB" ;;
        *) echo "| NVIDIA-SMI '"$1"'  Driver Version: '"$1"'  CUDA Version: '"$2"' |" ;; esac'
}
probe() {
    env -i PATH="$dir/bin:/usr/bin:/bin" ROOT="$dir/root" gpu/probe.sh "$dir/env" >"$dir/log" 2>&1 && echo ready >>"$dir/log" ||
        echo "not ready" >>"$dir/log"
}
machine; probe
expect "all there" "found: NVIDIA H100, 81559 MiB, driver 580.159.04" "$dir/log"
expect "all there" "found: NVRTC 13.0 in $dir/root/usr/local/cuda-13.0/lib64" "$dir/log"
expect "all there" "export CUDA_PATH=$dir/root/usr/local/cuda-13.0 LD_LIBRARY_PATH=$dir/root/usr/local/cuda-13.0/lib64" "$dir/env"
refuse "all there" missing "$dir/log"
refuse "all there" stubs "$dir/env"
machine; rm "$dir/root/dev/nvidiactl"; probe
expect "no driver" "missing: no NVIDIA driver: there is no /dev/nvidiactl" "$dir/log"
expect "no driver" "not ready" "$dir/log"
machine; program "$dir/bin/nvidia-smi" <<<'echo "could not communicate"; exit 9'; probe
expect "driver without answer" "missing: no NVIDIA driver that answers: nvidia-smi says: could not communicate" "$dir/log"
machine; driver 570.86.10 12.8; probe
expect "old driver" "missing: driver 570.86.10 is too old for CUDA 13: it takes 580 or later" "$dir/log"
machine; program "$dir/bin/ldconfig" <<<''; probe
expect "no libcuda" "missing: no library of the driver: libcuda.so.1" "$dir/log"
mkdir -p "$dir/root/usr/local/nvidia/lib64"; touch "$dir/root/usr/local/nvidia/lib64/libcuda.so.1"; probe
refuse "libcuda of a container" missing "$dir/log"
expect "libcuda of a container" "$dir/root/usr/local/nvidia/lib64" "$dir/env"
machine; rm "$dir/root"/usr/local/cuda-13.0/lib64/libnvrtc.so.13; probe
expect "no NVRTC" "missing: no NVRTC of CUDA 13 (libnvrtc.so.13)" "$dir/log"
machine; rm "$dir/root"/usr/local/cuda-13.0/lib64/libnvrtc-builtins*; probe
expect "no builtins" "missing: no libnvrtc-builtins.so.13 beside" "$dir/log"
machine; rm "$dir/root"/usr/local/cuda-13.0/include/crt/host_config.h; probe
expect "no headers" "missing: no headers of CUDA 13" "$dir/log"
machine; driver 580.1 13.0; mv "$dir"/root/usr/local/cuda-13.0/lib64/libnvrtc-builtins.so.13.{0,2}; probe
expect "newer NVRTC" "missing: NVRTC 13.2 is newer than the driver, which knows CUDA 13.0" "$dir/log"
# From a package of PyPI alone, which has its folders elsewhere.
machine; rm "$dir/bin/nvcc"
mkdir -p "$dir/root/site/nvidia"; mv "$dir/root/usr/local/cuda-13.0" "$dir/root/site/nvidia/cu13"; mv "$dir"/root/site/nvidia/cu13/lib{64,}
program "$dir/bin/python3" <<<"echo $dir/root/site/nvidia"; probe
refuse "PyPI" missing "$dir/log"
expect "PyPI" "export CUDA_PATH=$dir/root/site/nvidia/cu13 LD_LIBRARY_PATH=$dir/root/site/nvidia/cu13/lib" "$dir/env"

# A packed folder whose programs do what `behave` says, on a machine without a GPU.
mkdir -p "$dir"/{stage/target/release,kit,stage/data/mnist}
cp -r gpu "$dir/stage/"; touch "$dir/stage/Cargo.toml"
program "$dir/stage/target/release/mwt-train" <<<'#!/bin/bash
echo "$*" >>"$SEEN"
case "$*" in
    *"--batch 256"*) sleep 60 ;;
    *"--batch 999"*) exit 3 ;;
    train*) mkdir -p runs/mnist-base/report; cd runs/mnist-base; touch settings.toml; head -c 17M /dev/urandom >checkpoint.safetensors; touch checkpoint.before.safetensors
        trap "exit 130" INT; sleep 60 & wait ;;
    resume*) touch runs/mnist-base/model.safetensors ;;
    *) mkdir -p target/autotune target/cuda; echo choice >target/autotune/choice.json; touch target/autotune/a.lock; echo "{\"ms_per_step\":1.5}" ;;
esac'
program "$dir/stage/target/golden_gpu" <<<'#!/bin/bash
echo "test $* of $MWT_REQUIRE_GPU in $MWT_FIXTURES"'
cp gpu/check.sh "$dir/kit/"; echo one >"$dir/kit/source.txt"
tar -c -C "$dir/stage" . | xz -1 >"$dir/kit/program.tar.xz"
run() {
    cd "$dir/kit"
    exec env -i PATH=/usr/bin:/bin BACKEND=wgpu WORK="$dir/work" OUT="$dir/out" SEEN="$dir/seen" PYTHON=none "${settings[@]}" \
        ./check.sh "$@" >"$dir/log" 2>&1
}
check() { (run "$@") || echo "exit status $?" >>"$dir/log"; }
settings=(LIMITS=bench-base-256=2); check 100 smoke golden bench-base-64 bench-base-256
expect stages "smoke: ok" "$dir/log"
expect stages "golden: ok" "$dir/log"
expect "a time limit" "bench-base-256: cut short" "$dir/log"
expect "a time limit" "exit status 1" "$dir/log"
mkdir "$dir/back"; tar -xzf "$dir/out/results.tar.gz" -C "$dir/back"
sed -i 's/"seconds":[0-9]*/"seconds":0/' "$dir/back/results/stages.jsonl"
expect "what comes back" '{"stage":"bench-base-64","status":0,"seconds":0,"device_mib":null,"result":{"ms_per_step":1.5}}' "$dir/back/results/stages.jsonl"
expect "what comes back" "test wgpu:: of wgpu in $dir/work/tests/fixtures" "$dir/back/results/golden.txt"
expect "what comes back" choice "$dir/back/target/autotune/choice.json"
[ ! -e "$dir/back/target/autotune/a.lock" ]
# The next call goes on with what was cut short, and with nothing else; the folder that it came in may be another by now.
: >"$dir/seen"; settings=(LIMITS=bench-base-256=1); check 100 smoke golden bench-base-64 bench-base-256
expect "the next call" "golden: has ended before" "$dir/log"
expect "the next call" "bench-base-256: cut short" "$dir/log"
[ "$(wc -l <"$dir/seen")" = 1 ]
# Told to stop in the middle of a stage, it stops the stage and leaves what there is.
rm "$dir"/out/*; settings=(); : >"$dir/seen"; run 100 bench-base-256 &
until [ -s "$dir/seen" ]; do sleep 0.1; done
kill $!
status=0; wait $! || status=$?
[ "$status" = 143 ]
[ -e "$dir/out/results.tar.gz" ]
[ -z "$(pgrep -f "$dir/work/target/release/mwt-train")" ]
settings=(AGAIN=golden); check 100 golden
expect "asked for again" "golden: ok" "$dir/log"
settings=(BATCHES=999); check 100 bench-base-999
expect "a failure" "bench-base-999: FAILED with exit status 3" "$dir/log"
: >"$dir/seen"; settings=(); check 50 bench-base-16
expect "no time" "bench-base-16: not started: it needs 45 s" "$dir/log"
check 70 train
expect "no time" "train: not started: it needs 60 s" "$dir/log"
[ ! -s "$dir/seen" ]
# A row stops in time with a checkpoint, comes back in parts, and goes on.
settings=(LIMITS=train=40); check 100 train
expect "a row" "train: ok" "$dir/log"
[ "$(stat -c %s "$dir/out/results.tar.gz.00")" = $((15 << 20)) ]
rm -rf "$dir/back"; mkdir "$dir/back"; cat "$dir"/out/results.tar.gz.* | tar -xz -C "$dir/back"
cmp "$dir/work/runs/mnist-base/checkpoint.safetensors" "$dir/back/runs/mnist-base/checkpoint.safetensors"
[ ! -e "$dir/back/runs/mnist-base/checkpoint.before.safetensors" ]
settings=(); check 100 train
expect "a row" "train: ok" "$dir/log"
[ -e "$dir/out/results.tar.gz.00" ] && [ -e "$dir/work/runs/mnist-base/model.safetensors" ]
# Nothing goes on where the smallest run fails.
program "$dir/stage/target/release/mwt-train" <<<'#!/bin/bash
echo "error: no GPU found"; exit 1'
tar -c -C "$dir/stage" . | xz -1 >"$dir/kit/program.tar.xz"
settings=(); check 100
expect "a failing smoke test" "error: no GPU found" "$dir/log"
refuse "a failing smoke test" golden "$dir/log"
echo "test.sh: $count checks passed"
