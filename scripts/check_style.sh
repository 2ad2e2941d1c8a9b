#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Checks formatting (clang-format) and lints (clang-tidy) every C++ file of the repository.
#   scripts/check_style.sh format
#   scripts/check_style.sh lint      after a build of the preset ci, whose compile commands it uses
set -euo pipefail
cd "$(dirname "$0")/.."

sources() { git ls-files '*.cpp' '*.hpp'; }

case "${1:-}" in
  format)
    echo "== format"
    sources | xargs clang-format --dry-run --Werror
    ;;
  lint)
    echo "== lint"
    # GCC's own warning options are unknown to clang-tidy's parser. Tests are formatted, compiled with all warnings and
    # run under sanitizers; linting is for the product.
    git ls-files 'models/*.cpp' 'traces/*.cpp' 'sim/*.cpp' 'cli/*.cpp' |
      xargs -P "$(nproc)" -n 4 clang-tidy -p build/ci --quiet --extra-arg=-Wno-unknown-warning-option \
        2> >(grep -v 'warnings generated\|warnings treated as\|Suppressed\|Use -header-filter' >&2)
    ;;
  *)
    echo "usage: scripts/check_style.sh format|lint" >&2
    exit 2
    ;;
esac
