#!/usr/bin/env bash
# Trains rows of docs/RESULTS.md one after the other within a time budget, on whatever back end there is. A row that the
# budget cuts short keeps its checkpoint: the next call goes on with it. Each finished row leaves in OUT its bundles, its
# metrics and one line of results.jsonl: wall time, and accuracy and PSNR over the whole test set through mwt-infer.
#
#   gpu/table.sh SECONDS ROW…        rows as named in gpu/rows.txt
#
# Environment: MWT_TRAIN (the program), DATA (folder of the data sets), RUNS, OUT, BACKEND (cuda), EXTRA (more options).
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
seconds=$1; shift
train=${MWT_TRAIN:-target/release/mwt-train} data=${DATA:-data} runs=${RUNS:-runs} out=${OUT:-results}
backend=${BACKEND:-cuda} end=$((SECONDS + seconds))
mkdir -p "$runs" "$out"

for row in "$@"; do
    line=$(grep -E "^$row +\|" gpu/rows.txt) || { echo "table.sh: no row '$row' in gpu/rows.txt" >&2; exit 1; }
    set_name=$(cut -d'|' -f2 <<<"$line" | xargs)
    options=$(cut -d'|' -f3 <<<"$line")
    run=$runs/$row left=$((end - SECONDS)) start=$SECONDS
    if [ ! -f "$run/model.safetensors" ]; then
        [ "$left" -gt 10 ] || { echo "$row: no time left"; break; }
        # Ctrl-C ends a run with a checkpoint. Options are words: none holds a space.
        if compgen -G "$run/checkpoint*" >/dev/null; then
            timeout --signal=INT "$left" "$train" resume "$run" --backend "$backend"
        else
            # shellcheck disable=SC2086
            timeout --signal=INT "$left" "$train" train --data "$data/$set_name" --backend "$backend" \
                --runs "$runs" --name "$row" --seed 0 $options ${EXTRA:-}
        fi || true
        echo $((SECONDS - start)) >>"$run/seconds"
    fi
    cp "$run/metrics.csv" "$out/$row.csv"
    if [ ! -f "$run/model.safetensors" ]; then
        echo "$row: stopped after $(($(paste -sd+ "$run/seconds"))) s; call again to go on"
        continue
    fi
    for quant in f32 f16 int8; do
        bundle=$out/$row-$quant.mwt
        "$train" export "$run" -o "$bundle" --quant "$quant" >/dev/null
        result=$("$train" eval "$bundle" --data "$data/$set_name" --json)
        printf '{"row":"%s","quant":"%s","train_seconds":%s,"bytes":%s,"result":%s}\n' \
            "$row" "$quant" "$(($(paste -sd+ "$run/seconds")))" "$(stat -c %s "$bundle")" \
            "$(tr -d '\n' <<<"$result")" | tee -a "$out/results.jsonl" | cut -c1-200
    done
done
