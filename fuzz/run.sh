#!/usr/bin/env bash
# Fuzzes each target for a while, or runs one on a file that made it crash:
#
#   fuzz/run.sh [seconds each = 60] [target…]
#   fuzz/run.sh replay target file
#
# The flags are those of `cargo fuzz --sanitizer none`: they instrument for coverage and need no nightly compiler. New inputs
# are kept under the target directory; a crash leaves its input there too and ends the run.
set -euo pipefail
cd "$(dirname "$0")"

build=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
bin=$build/$host/release
mkdir -p "$build"

RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1" \
  cargo build --quiet --locked --release --target "$host" --target-dir "$build"

if [ "${1:-}" = replay ]; then
  exec "$bin/$2" "$3"
fi

seconds=${1:-60}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(stripe_header stripe_event deliveries card_numbers audit_export)

for target in "${targets[@]}"; do
  seeds=seeds/$target
  [ "$target" = stripe_event ] && seeds=../events/stripe
  [ "$target" = deliveries ] && seeds=../events/webhook-erp
  corpus=$build/corpus/$target
  log=$build/$target.log
  mkdir -p "$corpus"
  if ! "$bin/$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/$target-" -dict="seeds/$target.dict" "$corpus" "$seeds" 2> "$log"; then
    tail -40 "$log"
    exit 1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  printf '%-14s %10d runs in %d s, %d inputs kept\n' "$target" "$runs" "$seconds" "$(find "$corpus" -type f | wc -l)"
done
