#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds and passes every test.
#   scripts/test.sh          optimised build, all tests
#   scripts/test.sh --all    what continuous integration runs: warnings as errors, all tests, the same tests under
#                            AddressSanitizer and UndefinedBehaviorSanitizer, format and lint, a benchmark run
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

# Configures, builds and tests one preset; tells which tests were skipped and why.
run_preset() {
  local preset="$1"
  echo "== $preset: configure and build"
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" -j "$jobs"
  echo "== $preset: test"
  local log="build/$preset/tests.log"
  ctest --preset "$preset" -j "$jobs" --output-log "$log"
  if [ -d "$data" ]; then
    echo "== $preset: recorded data present; tests that skipped for want of it:" \
      "$(grep -c 'SKIPPED: recorded data absent' "build/$preset/Testing/Temporary/LastTest.log" || true)"
    if grep -q 'SKIPPED: recorded data absent' "build/$preset/Testing/Temporary/LastTest.log"; then
      echo "error: tests of the recorded data did not run although it is there" >&2
      return 1
    fi
  else
    echo "== $preset: RECORDED DATA ABSENT ($data): the tests that need it were SKIPPED"
  fi
}

./scripts/setup.sh
if [ "$all" = no ]; then
  run_preset release
  exit 0
fi
./scripts/check_style.sh format
run_preset ci
./scripts/check_style.sh lint
run_preset asan
echo "== benchmarks (not a gate; docs/performance.md)"
build/ci/bin/pregate_bench --benchmark_min_time=0.05 --benchmark_filter='-pre_gated_overlap'
