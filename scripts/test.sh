#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds and passes every test.
#   scripts/test.sh          optimised build, all tests, those of the Python package too
#   scripts/test.sh --all    what continuous integration runs: format; with CUDA, optimised and warnings as errors, the
#                            tests of the program, of published cases, of CUDA and the runtime, with checked indices;
#                            without CUDA, under AddressSanitizer and UndefinedBehaviorSanitizer, those of all that
#                            reads files, simulates and executes; what has threads under ThreadSanitizer; lint; a
#                            benchmark run; the Python package, as a wheel, with torch where it can be installed
# Ends, also where something failed, with the time that every stage took.
set -euo pipefail
cd "$(dirname "$0")/.."

all=no
case "${1:-}" in
  "") ;;
  --all) all=yes ;;
  *) echo "usage: scripts/test.sh [--all]" >&2; exit 2 ;;
esac

data="${PREGATE_SHARED_DATA:-../shared/data}"
jobs="$(nproc)"
clock="$(mktemp)"
stages=""
beside=""  # the process of a stage that runs beside others
stage=""
started=""

# stage NAME: the stage before has ended, this one begins.
stage() {
  local now
  times >"$clock"  # of this shell, then of all commands that have ended
  now="$EPOCHREALTIME $(awk -F '[ms ]+' 'NR == 2 {print 60 * $1 + $2 + 60 * $3 + $4}' "$clock")"
  if [ -n "$stage" ]; then
    stages+="$(awk -v name="$stage" '{printf "%-18s %7.0f s %7.0f s", name, $3 - $1, $4 - $2}' <<<"$started $now")"$'\n'
  fi
  stage="$1"
  started="$now"
  if [ -n "$stage" ]; then echo "== $stage"; fi
}

# await_beside: waits for the process that ran beside, shows what it printed, fails where it did.
await_beside() {
  local failed=0
  wait "$beside" || failed="$?"
  beside=""
  cat "$clock.beside"
  if [ "$failed" != 0 ]; then exit "$failed"; fi
}

finish() {
  if [ -n "$beside" ]; then kill "$beside" 2>/dev/null || true; fi
  stage ""
  rm -f "$clock" "$clock.beside"
  printf '== %-15s %9s %9s\n%s' stage wall CPU "$stages"
}
trap finish EXIT

# Configures, builds and tests one preset; tells how many tests ran, which were skipped and why.
run_preset() {
  local preset="$1"
  local last="build/$preset/Testing/Temporary/LastTest.log"
  local options=("${@:2}")
  stage "$preset: build"
  cmake --preset "$preset" "${options[@]}" >/dev/null
  cmake --build --preset "$preset" -j "$jobs"
  stage "$preset: test"
  ctest --preset "$preset" -j "$jobs" --output-log "build/$preset/tests.log"
  echo "== $preset: cases of GoogleTest that ran:" \
    "$(awk '/^\[==========\] [0-9]+ tests? from .* ran\./ {cases += $2} END {print cases + 0}' "$last")"
  if [ -d "$data" ]; then
    echo "== $preset: recorded data present; tests that skipped for want of it:" \
      "$(grep -c 'SKIPPED: recorded data absent' "$last" || true)"
    if grep -q 'SKIPPED: recorded data absent' "$last"; then
      echo "error: tests of the recorded data did not run although it is there" >&2
      return 1
    fi
  else
    echo "== $preset: RECORDED DATA ABSENT ($data): the tests that need it were SKIPPED"
  fi
}

stage setup
./scripts/setup.sh
stage "python: tools"
./scripts/python.sh tools
with_python=(-DPREGATE_PYTHON=ON "-DPython_EXECUTABLE=$PWD/build/venv/bin/python")
if [ "$all" = no ]; then
  # Several files at a time: half of the time that each by itself takes.
  run_preset release "${with_python[@]}" -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=36
  stage "python: test"
  ./scripts/python.sh test build/release
  exit 0
fi
stage format
./scripts/check_style.sh format
run_preset ci "${with_python[@]}"
# Most of it has one thread or waits for downloads: beside what follows. Its CPU time is that of the stage in which it ends.
PREGATE_TORCH="${PREGATE_TORCH:-try}" ./scripts/python.sh test build/ci >"$clock.beside" 2>&1 &
beside="$!"
run_preset asan
stage "python: test"
await_beside
# The benchmarks have one thread and are no gate (docs/performance.md): beside a build. Those left out take seconds each.
build/ci/bin/pregate_bench --benchmark_min_time=0.01 \
  --benchmark_filter='-pre_gated_overlap|freq_distance|activation_matrix|global_replay/lfru|/10000000' \
  >"$clock.beside" 2>&1 &
beside="$!"
run_preset tsan
stage benchmarks
await_beside
stage lint
./scripts/check_style.sh lint
