#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# The Python package.
#   scripts/python.sh tools        build/venv with what building the module needs; does nothing when it is there
#   scripts/python.sh test BUILD   makes a wheel of the module that BUILD has (a build with PREGATE_PYTHON), installs it
#                                  into a clean environment and passes its tests, mypy and ruff. Tests of recorders and
#                                  the notebook need torch, some GB: they are skipped, and say so, unless PREGATE_TORCH
#                                  is yes, or try: where it cannot be installed they are skipped then too.
#                                  PREGATE_TORCH_INDEX: where torch comes from, as one of wheels without CUDA.
set -euo pipefail
cd "$(dirname "$0")/.."

tools() {
  if [ -e build/venv/complete ]; then return; fi
  python3 -m venv --clear build/venv
  build/venv/bin/pip install -q 'nanobind>=2.4' 'scikit-build-core>=0.10'
  touch build/venv/complete
}

test_wheel() {
  local build="$PWD/$1" clean=build/venv-of-wheel torch="${PREGATE_TORCH:-no}" index=()
  rm -rf build/wheels
  PREGATE_BUILT="$build" build/venv/bin/pip wheel -q --no-build-isolation --no-deps ./python -w build/wheels
  python3 -m venv --clear "$clean"
  "$clean/bin/pip" install -q --no-compile "$(echo build/wheels/pregate-*.whl)[test]"
  if [ -n "${PREGATE_TORCH_INDEX:-}" ]; then index=(--index-url "$PREGATE_TORCH_INDEX"); fi
  if [ "$torch" != no ]; then
    if ! { "$clean/bin/pip" install -q --no-compile "${index[@]}" torch &&
      "$clean/bin/pip" install -q --no-compile "$(echo build/wheels/pregate-*.whl)[record,notebook]"; }; then
      if [ "$torch" = yes ]; then return 1; fi
      echo "== python: TORCH CANNOT BE INSTALLED: the tests of recorders and of the notebook are SKIPPED"
    fi
  fi
  ls -l build/wheels
  (cd python && "../$clean/bin/ruff" check . && "../$clean/bin/ruff" format --check .)
  (cd python && "../$clean/bin/mypy" -p pregate && "../$clean/bin/mypy" tests)
  PREGATE_PROGRAM="$build/bin/pregate" "$clean/bin/python" -m pytest -q -rs -p no:cacheprovider python/tests
}

case "${1:-} ${2:+build}" in
  "tools ") tools ;;
  "test build") test_wheel "$2" ;;
  *) echo "usage: scripts/python.sh tools | test BUILD" >&2; exit 2 ;;
esac
