#!/usr/bin/env bash
# Fuzzes each target for a while: fuzz/run.sh [seconds each = 60] [target…]
#
# The flags are those of `cargo fuzz --sanitizer none`: they instrument for coverage and need no nightly compiler. New inputs
# are kept under the target directory. A crash leaves its input there too and ends the run; replay it with
# fuzz/run.sh 0 <target> <file>.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
targets=("${@:2}")
build=${CARGO_TARGET_DIR:-target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
args=("-max_total_time=$seconds" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1)

if [ "$seconds" = 0 ]; then
  targets=("$2")
  args=("$(realpath "$3")")
elif [ ${#targets[@]} = 0 ]; then
  targets=(stripe_header stripe_event card_numbers)
fi

RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1" \
  cargo build --quiet --locked --release --target "$host" --target-dir "$build"

for target in "${targets[@]}"; do
  echo "== $target"
  seeds=$PWD/seeds/$target
  [ "$target" = stripe_event ] && seeds=$PWD/../events/stripe
  corpus=$build/corpus/$target
  mkdir -p "$corpus"
  inputs=()
  if [ "$seconds" != 0 ]; then
    inputs=("-artifact_prefix=$build/$target-" "-dict=$PWD/seeds/$target.dict" "$corpus" "$seeds")
  fi
  "$build/$host/release/$target" "${args[@]}" "${inputs[@]}" 2> "$build/$target.log" || { tail -40 "$build/$target.log"; exit 1; }
  grep -E '^(Done|stat::number_of_executed_units|stat::average_exec_per_sec)' "$build/$target.log" || tail -2 "$build/$target.log"
  find "$corpus" -type f | wc -l | sed 's/$/ inputs kept/'
done
