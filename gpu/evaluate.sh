#!/usr/bin/env bash
# Exports and evaluates runs that gpu/table.sh has trained, on any machine: it takes no GPU. Each row gets its report, and
# leaves in OUT its bundles and metrics, and a line per bundle in results.jsonl: seconds of training, and accuracy and
# PSNR over the whole test set through mwt-infer. A bundle that has its line is left as it is.
#
#   gpu/evaluate.sh [ROW…]           all that are in RUNS if none is named
#
# Results of gpu/check.sh are brought to RUNS with: cat results.tar.gz* | tar -xz
# Environment: MWT_TRAIN (the program), DATA (folder of the data sets), RUNS, OUT, QUANTS (f32 f16 int8).
set -euo pipefail
cd "$(dirname "$0")/.."
train=${MWT_TRAIN:-target/release/mwt-train} data=${DATA:-data} runs=${RUNS:-runs} out=${OUT:-results}
mkdir -p "$out"
touch "$out/results.jsonl"
[ $# -gt 0 ] || { for run in "$runs"/*/; do set -- "$@" "$(basename "$run")"; done; }

for row in "$@"; do
    run=$runs/$row
    [ -f "$run/model.safetensors" ] || { echo "$row: not trained to its end: gpu/table.sh goes on with it"; continue; }
    line=$(grep -E "^$row +\|" gpu/rows.txt) || { echo "evaluate.sh: no row '$row' in gpu/rows.txt" >&2; exit 1; }
    set_name=$(cut -d'|' -f2 <<<"$line" | xargs)
    cp "$run/metrics.csv" "$out/$row.csv"
    [ -f "$run/report.html" ] || "$train" report "$run" >/dev/null
    for quant in ${QUANTS:-f32 f16 int8}; do
        ! grep -q "\"row\":\"$row\",\"quant\":\"$quant\"" "$out/results.jsonl" || continue
        bundle=$out/$row-$quant.mwt
        "$train" export "$run" -o "$bundle" --quant "$quant" >/dev/null
        result=$("$train" eval "$bundle" --data "$data/$set_name" --json)
        printf '{"row":"%s","quant":"%s","train_seconds":%s,"bytes":%s,"result":%s}\n' \
            "$row" "$quant" "$(($(paste -sd+ "$run/seconds")))" "$(stat -c %s "$bundle")" \
            "$(tr -d '\n' <<<"$result")" | tee -a "$out/results.jsonl" | cut -c1-200
    done
done
