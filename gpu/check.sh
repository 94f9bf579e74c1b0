#!/usr/bin/env bash
# What must hold on a machine with a GPU, and how fast training is there, in one call. Needs no Rust and no CUDA toolkit:
# build elsewhere and bring the two programs and this repository.
#
#   cargo build --release -p mwt-train --features cuda
#   cargo test --release -p mwt-tests --no-default-features --features cuda --test golden_gpu --no-run
#   MWT_TRAIN=… GOLDEN=… gpu/check.sh
#
# Environment: MWT_TRAIN (the program), GOLDEN (the test program golden_gpu-…), BACKEND (cuda), OUT (results), PRESETS
# (micro base large), BATCHES (16 64 256), STEPS (10), BENCH (the folder of PyTorch's train_bench.py, tools/bench).
# PyTorch is left out where python3 has no torch.
set -euo pipefail
cd "$(dirname "$0")/.."
train=${MWT_TRAIN:-target/release/mwt-train} backend=${BACKEND:-cuda} out=${OUT:-results}
bench=${BENCH:-tools/bench} presets=${PRESETS:-micro base large} batches=${BATCHES:-16 64 256} steps=${STEPS:-10}
mkdir -p "$out"
failed=0

# NVIDIA's compiler of kernels and its headers may have come with a package of PyPI.
if [ "$backend" = cuda ] && [ -z "${CUDA_PATH:-}" ] && [ ! -e /usr/local/cuda ]; then
    found=$(find / -path '*/nvidia/cu13/include/cuda_runtime.h' -not -path '/proc/*' 2>/dev/null | head -1) || true
    [ -n "$found" ] || { echo "check.sh: no CUDA 13 headers: pip install nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cuda-crt" >&2; exit 1; }
    CUDA_PATH=${found%/include/*}
    export CUDA_PATH LD_LIBRARY_PATH=$CUDA_PATH/lib:${LD_LIBRARY_PATH:-}
fi

echo "== golden vectors on $backend"
if [ -n "${GOLDEN:-}" ]; then
    MWT_REQUIRE_GPU=$backend MWT_FIXTURES=tests/fixtures "$GOLDEN" "$backend::" | tee "$out/golden.txt" || failed=1
else
    echo "left out: GOLDEN names no test program" | tee "$out/golden.txt"
fi

echo "== a short training run, whose bundles mwt-infer holds against the logits computed on $backend"
"$train" demo --backend "$backend" --images "${IMAGES:-4000}" --epochs "${EPOCHS:-2}" -o "$out/demo" | tail -8 | tee "$out/demo.txt" || failed=1
for bundle in "$out"/demo/digits-*.mwt; do
    "$train" inspect "$bundle" --json >>"$out/bundles.jsonl" || failed=1
done

# Device memory while a command runs, MiB; nothing where nvidia-smi is not there.
peak() {
    local file=$1
    shift
    ( while sleep 0.2; do nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2>/dev/null || break; done >"$file" ) &
    local watcher=$!
    "$@" || true
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
}

echo "== throughput: images per second and the most device memory, MiB"
device_memory() { sort -n "$out/memory" 2>/dev/null | tail -1; }
for preset in $presets; do
    for batch in $batches; do
        peak "$out/memory" "$train" bench --backend "$backend" --preset "$preset" --batch "$batch" --steps "$steps" --json >"$out/line.json"
        printf '{"program":"mwt-train","preset":"%s","batch":%s,"device_mib":"%s","result":%s}\n' \
            "$preset" "$batch" "$(device_memory)" "$(cat "$out/line.json")" | tee -a "$out/speed.jsonl" | cut -c1-100
        [ -f "$bench/train_bench.py" ] && python3 -c 'import torch' 2>/dev/null || continue
        device=$([ "$backend" = cuda ] && echo cuda || echo cpu)
        # The reference's way, then the best that PyTorch can do.
        for variant in "--mode autograd --autocast fp16" "--mode closed --one-pass --attn sdpa --tf32" \
            "--mode closed --one-pass --attn sdpa --compile --autocast bf16"; do
            # shellcheck disable=SC2086
            peak "$out/memory" python3 "$bench/train_bench.py" --config "$preset" --batch "$batch" --device "$device" \
                --steps "$steps" $variant >"$out/line.json" 2>"$out/error.txt"
            printf '{"program":"PyTorch","variant":"%s","preset":"%s","batch":%s,"device_mib":"%s","result":%s}\n' \
                "$variant" "$preset" "$batch" "$(device_memory)" "$(tail -1 "$out/line.json" | grep '^{' || echo null)" \
                | tee -a "$out/speed.jsonl" | cut -c1-160
        done
    done
done
rm -f "$out/memory" "$out/line.json"
[ "$failed" = 0 ] || echo "check.sh: something above does not hold" >&2
exit "$failed"
