#!/usr/bin/env bash
# Trains rows of docs/RESULTS.md one after the other within a time budget, on whatever back end there is. A row that the
# budget cuts short keeps its checkpoint: the next call goes on with it, on this machine or on another. Export and
# evaluation need no GPU: gpu/evaluate.sh does them elsewhere.
#
#   gpu/table.sh SECONDS ROW…        rows as named in gpu/rows.txt
#
# Environment: MWT_TRAIN (the program), DATA (folder of the data sets), RUNS, BACKEND (cuda), EXTRA (more options).
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
seconds=$1; shift
train=${MWT_TRAIN:-target/release/mwt-train} data=${DATA:-data} runs=${RUNS:-runs} backend=${BACKEND:-cuda}
end=$((SECONDS + seconds))
mkdir -p "$runs"

failed=0
for row in "$@"; do
    line=$(grep -E "^$row +\|" gpu/rows.txt) || { echo "table.sh: no row '$row' in gpu/rows.txt" >&2; exit 1; }
    set_name=$(cut -d'|' -f2 <<<"$line" | xargs)
    options=$(cut -d'|' -f3 <<<"$line")
    run=$runs/$row left=$((end - SECONDS)) start=$SECONDS
    [ ! -f "$run/model.safetensors" ] || { echo "$row: trained"; continue; }
    [ "$left" -gt 10 ] || { echo "$row: no time left"; break; }
    # A run that was killed before its first checkpoint starts again with its own settings.
    if [ -f "$run/settings.toml" ]; then
        command=("$train" resume "$run" --backend "$backend")
    else
        # Options are words: none holds a space.
        # shellcheck disable=SC2206
        command=("$train" train --data "$data/$set_name" --backend "$backend" --runs "$runs" --name "$row" --seed 0 $options ${EXTRA:-})
    fi
    # The report evaluates bundles, on the CPU.
    command+=(--no-report)
    # Ctrl-C ends a run after the step in hand, with a checkpoint. A step that hangs is not waited for.
    status=0
    timeout --signal=INT --kill-after=20 "$left" "${command[@]}" || status=$?
    [ ! -d "$run" ] || echo $((SECONDS - start)) >>"$run/seconds"
    if [ -f "$run/model.safetensors" ]; then
        echo "$row: trained in $(($(paste -sd+ "$run/seconds"))) s"
    elif [ "$status" = 124 ]; then
        echo "$row: stopped after $(($(paste -sd+ "$run/seconds"))) s; call again to go on"
    elif [ "$status" = 137 ]; then
        echo "$row: killed in a step of more than 20 s; the next call goes on from the last checkpoint" >&2
        failed=1
    else
        echo "$row: failed with exit status $status" >&2
        failed=1
    fi
done
exit "$failed"
