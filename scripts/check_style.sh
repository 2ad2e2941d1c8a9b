#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Checks formatting (clang-format) and lints (clang-tidy) every C++ file of the repository.
#   scripts/check_style.sh format
#   scripts/check_style.sh lint      after a build of the preset ci, whose compile commands it uses
set -euo pipefail
cd "$(dirname "$0")/.."

sources() { git ls-files '*.cpp' '*.hpp' '*.cu' '*.cuh'; }

case "${1:-}" in
  format)
    echo "== format"
    sources | xargs clang-format --dry-run --Werror
    ;;
  lint)
    echo "== lint"
    # GCC's own warning options are unknown to clang-tidy's parser. Tests are formatted, compiled with all warnings and
    # run under sanitizers; linting is for the product.
    git ls-files 'models/*.cpp' 'traces/*.cpp' 'sim/*.cpp' 'kernels/*.cpp' 'runtime/*.cpp' 'validation/*.cpp' 'cli/*.cpp' |
      xargs -P "$(nproc)" -n 4 clang-tidy -p build/ci --quiet --extra-arg=-Wno-unknown-warning-option \
        2> >(grep -v 'warnings generated\|warnings treated as\|Suppressed\|Use -header-filter' >&2)
    # Clang's own CUDA mode, host side; the toolkit has no longer a header that clang 14 includes.
    cuda="${CUDA_HOME:-/usr/local/cuda}"
    if [ -d "$cuda/include" ]; then
      stub="$(mktemp -d)"
      trap 'rm -rf "$stub"' EXIT
      touch "$stub/texture_fetch_functions.h"
      git ls-files 'kernels/*.cu' | xargs -P "$(nproc)" -I{} clang-tidy {} --quiet -- -x cuda --cuda-host-only \
        -std=c++17 -I. -Wno-unknown-cuda-version -D__CLANG_CUDA_TEXTURE_INTRINSICS_H__ -isystem "$stub" \
        --cuda-path="$cuda" 2> >(grep -v 'warnings generated\|Suppressed\|Use -header-filter' >&2)
    else
      echo "== lint: CUDA ABSENT ($cuda): the kernels' .cu files were SKIPPED"
    fi
    ;;
  *)
    echo "usage: scripts/check_style.sh format|lint" >&2
    exit 2
    ;;
esac
