#!/usr/bin/env bash
# What must hold on a machine with a GPU, and how fast training is there: in stages, within a budget of seconds. Takes no
# Rust and no network: gpu/prepare.sh packs all that it needs into one folder, from which it unpacks itself.
#
#   check.sh SECONDS [STAGE…]
#
# Stages, in this order: probe, smoke (three steps), golden (the golden vectors), bench-PRESET-BATCH (throughput in tf32),
# bench-PRESET-BATCH-f32 (in exact f32, where attention is in own kernels),
# torch-PRESET-BATCH and compile-PRESET-BATCH (PyTorch's), train (a row of gpu/rows.txt, with checkpoints). Without names
# all of them. A stage that has ended is not run again by the next call; one that was cut short is. No stage starts in
# less time than it needs. After each, OUT has everything so far: results.tar.gz, or parts of 15 MiB of it
# (results.tar.gz.00, …): cat results.tar.gz* | tar -xz
#
# Environment: BACKEND (cuda), WORK (where to unpack and work: /tmp/mwt-check), OUT (WORK/out), AGAIN (stages to run
# again, or "all"), PRESETS (base), BATCHES (64 256 16), F32_BATCHES (64 16), TORCH_BATCHES (64 256), COMPILE_BATCHES (64), STEPS (10),
# ROW (mnist-base), EXTRA (more options of its training), SMOKE_PRESET (nano), PYTHON (python3),
# LIMITS (for instance "golden=300 bench-base-64=400": the most seconds of a stage), and what gpu/probe.sh reads.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 2; }
for folder in OUT WORK; do [ -z "${!folder:-}" ] || export "$folder=$(realpath -m "${!folder}")"; done
cd "$(dirname "$0")"

# From a packed folder: unpack it, once, and go on from there. The folder itself may be replaced between two calls.
if [ -f program.tar.xz ]; then
    work=${WORK:-/tmp/mwt-check}
    mkdir -p "$work"
    unpack() {
        if command -v xz >/dev/null; then
            xz -dc "$1"
        else
            python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$1"
        fi | tar -x -C "$work" --no-same-owner "${@:2}"
    }
    if ! cksum ./*.tar.xz | cmp -s - "$work/kit.txt"; then
        # Another program: what the last one gave says nothing of it.
        [ ! -f "$work/kit.txt" ] || grep -qFx "$(cksum ./program.tar.xz)" "$work/kit.txt" || rm -rf "$work/results"
        # What was compiled is found by the name of a kernel, not by its source.
        cmp -s source.txt "$work/source.txt" || rm -rf "$work/target/cuda"
        unpack program.tar.xz
        # What is there has gone on since it was packed.
        for part in data caches; do [ ! -f "$part.tar.xz" ] || unpack "$part.tar.xz" --skip-old-files; done
        cp source.txt "$work/"
        cksum ./*.tar.xz >"$work/kit.txt"
    fi
    cd "$work"
    exec gpu/check.sh "$(($1 - SECONDS))" "${@:2}"
fi
cd ..
seconds=$1; shift
start=$SECONDS end=$((SECONDS + seconds))
out=${OUT:-out} results=results
backend=${BACKEND:-cuda} python=${PYTHON:-python3} steps=${STEPS:-10} row=${ROW:-mnist-base}
presets=${PRESETS:-base} batches=${BATCHES:-64 256 16}
f32_batches=${F32_BATCHES-64 16} torch_batches=${TORCH_BATCHES-64 256} compile_batches=${COMPILE_BATCHES-64}
train=target/release/mwt-train
mkdir -p "$out" "$results"
touch "$results/stages.jsonl"
# A backtrace of a large program takes seconds. Tests beside each other would share the GPU and its memory.
export RUST_BACKTRACE=0 RUST_TEST_THREADS=1
# Relative: the run goes on, and is evaluated, in other folders too.
export BACKEND=$backend RUNS=runs MWT_TRAIN=$train DATA=${DATA:-data}
# Seconds kept for packing the results, and for a stage that does not stop when told to.
spare=15

# Everything so far as one archive: results, runs with one checkpoint, what was compiled and found fastest.
collect() {
    find target/cuda target/autotune -name '*.lock' -delete 2>/dev/null || true
    local parts=(results) part
    for part in source.txt target/cuda target/autotune runs; do [ ! -e "$part" ] || parts+=("$part"); done
    rm -rf collect.tmp && mkdir collect.tmp
    tar -cz --exclude 'checkpoint.before.safetensors' -f collect.tmp/results.tar.gz "${parts[@]}"
    if [ "$(stat -c %s collect.tmp/results.tar.gz)" -gt $((15 << 20)) ]; then
        split -b 15M -d collect.tmp/results.tar.gz collect.tmp/results.tar.gz.
        rm collect.tmp/results.tar.gz
    fi
    rm -f "$out"/results.tar.gz*
    mv collect.tmp/* "$out/"
    rmdir collect.tmp
}

running=
# shellcheck disable=SC2329
interrupted() {
    trap - INT TERM
    [ -z "$running" ] || { kill "$running" 2>/dev/null && wait "$running"; } || true
    collect
    exit 143
}
trap interrupted INT TERM

# The exit status of a stage's last run; nothing if there was none.
status_of() {
    { grep "^{\"stage\":\"$1\"," "$results/stages.jsonl" || true; } | tail -1 |
        sed 's/^{"stage":"[^"]*","status":\([0-9]*\),.*/\1/'
}
passed() { [ "$(status_of "$1")" = 0 ]; }
# Whether it ended by itself: 124 and 137 are those of a time limit.
ended() { case $(status_of "$1") in '' | 124 | 137 | 143) return 1 ;; esac; }
# The most seconds of a stage: what LIMITS says, or $2.
most_of() {
    local limit most=$2
    for limit in ${LIMITS:-}; do [ "${limit%=*}" != "$1" ] || most=${limit#*=}; done
    echo "$most"
}

# stage NAME LEAST MOST COMMAND…: runs it in at most MOST seconds, if there are at least LEAST. Fails where it does.
failed=0
stage() {
    local name=$1 least=$2 most left status=0 began watcher='' memory line
    most=$(most_of "$name" "$3")
    shift 3
    left=$((end - SECONDS - spare))
    [ "$least" -le "$most" ] || least=$most
    if [ "$left" -lt "$least" ]; then
        echo "$name: not started: it needs $least s, $left are left"
        return 0
    fi
    [ "$most" -le "$left" ] || most=$left
    began=$SECONDS
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -lms 200 >"$results/memory" 2>/dev/null &
        watcher=$!
    fi
    timeout -k 5 "$most" "$@" >"$results/$name.txt" 2>&1 &
    running=$!
    wait "$running" || status=$?
    running=
    if [ -n "$watcher" ]; then
        kill "$watcher" 2>/dev/null || true
        wait "$watcher" 2>/dev/null || true
    fi
    memory=$(grep -o '^[0-9]*' "$results/memory" 2>/dev/null | sort -n | tail -1 || true)
    rm -f "$results/memory"
    # The one line of JSON that a benchmark prints.
    line=$(grep '^{.*}$' "$results/$name.txt" | tail -1 || true)
    printf '{"stage":"%s","status":%s,"seconds":%s,"device_mib":%s,"result":%s}\n' \
        "$name" "$status" "$((SECONDS - began))" "${memory:-null}" "${line:-null}" >>"$results/stages.jsonl"
    case $status in
        0) echo "$name: ok, $((SECONDS - began)) s" ;;
        124 | 137) echo "$name: cut short after $((SECONDS - began)) s" ;;
        *)
            echo "$name: FAILED with exit status $status, $((SECONDS - began)) s: results/$name.txt ends with"
            tail -5 "$results/$name.txt"
            ;;
    esac
    collect
    [ "$status" = 0 ] || { failed=1; return 1; }
}

# wanted NAME: whether to run a stage in this call: named, and not ended or asked for again.
names=("$@")
wanted() {
    local name=$1
    [ ${#names[@]} = 0 ] || [[ " ${names[*]} " = *" $name "* ]] || return 1
    [[ " ${AGAIN:-} " = *" $name "* || ${AGAIN:-} = all ]] || ! ended "$name" || { echo "$name: has ended before"; return 1; }
}

# PyTorch brings libraries of CUDA of its own.
library_path=${LD_LIBRARY_PATH:-}
# The first two must pass, whatever was asked for: nothing after them would say anything.
if [ "$backend" = cuda ]; then
    if ! passed probe || wanted probe; then
        stage probe 5 60 gpu/probe.sh cuda.env || exit 1
    fi
    passed probe || exit 1
    # shellcheck disable=SC1091
    source ./cuda.env
fi
if ! passed smoke || wanted smoke; then
    stage smoke 20 60 "$train" bench --backend "$backend" --preset "${SMOKE_PRESET:-nano}" --batch 16 --steps 3 --json || exit 1
    passed smoke || exit 1
fi

if wanted golden; then
    stage golden 30 140 env MWT_REQUIRE_GPU="$backend" MWT_FIXTURES="$PWD/tests/fixtures" target/golden_gpu "$backend::" || true
fi
# The first one tries matrix products out for minutes; what it has found by its end is kept.
bench() {
    local name=bench-$1-$2$4
    if wanted "$name"; then
        stage "$name" 45 240 "$train" bench --backend "$backend" --precision "$3" --preset "$1" --batch "$2" --steps "$steps" --json || true
    fi
}
for preset in $presets; do
    for batch in $batches; do bench "$preset" "$batch" tf32 ""; done
    for batch in $f32_batches; do bench "$preset" "$batch" f32 -f32; done
done
# The best that PyTorch can do without a compiler, and with it.
device=$([ "$backend" = cuda ] && echo cuda || echo cpu)
torch=(env LD_LIBRARY_PATH="$library_path" "$python" tools/bench/train_bench.py --device "$device" --steps "$steps" --seconds 30 --mode closed --one-pass --attn sdpa)
if ! "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' 2>/dev/null; then
    echo "PyTorch: left out: $python has none"
else
    for preset in $presets; do
        for batch in $torch_batches; do
            if wanted "torch-$preset-$batch"; then
                stage "torch-$preset-$batch" 30 60 "${torch[@]}" --config "$preset" --batch "$batch" --tf32 || true
            fi
        done
        for batch in $compile_batches; do
            if wanted "compile-$preset-$batch"; then
                stage "compile-$preset-$batch" 60 100 "${torch[@]}" --config "$preset" --batch "$batch" --compile --autocast bf16 || true
            fi
        done
    done
fi
# All the time that is left. The row ends sooner, by what its last checkpoint may take.
set_name=$(grep -E "^$row +\|" gpu/rows.txt | cut -d'|' -f2 | xargs)
most=$(most_of train 100000) left=$((end - SECONDS - spare))
if [ -f "$RUNS/$row/model.safetensors" ]; then
    echo "train: $row is trained"
elif [ ! -d "$DATA/$set_name" ]; then
    echo "train: left out: no $DATA/$set_name"
elif [ ${#names[@]} = 0 ] || [[ " ${names[*]} " = *" train "* ]]; then
    stage train 60 "$most" gpu/table.sh "$(((most < left ? most : left) - 25))" "$row" || true
fi

collect
echo "$((SECONDS - start)) s; results: $(cd "$out" && stat -c '%n %s bytes' results.tar.gz* | paste -sd, -)"
[ "$failed" = 0 ] || echo "check.sh: a stage failed or was cut short" >&2
exit "$failed"
