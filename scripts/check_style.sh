#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Checks formatting (clang-format) and lints (clang-tidy) every C++ file of the repository.
#   scripts/check_style.sh format
#   scripts/check_style.sh alone [FILE...]   every source, or those, compiles by itself: continuous integration compiles
#                                            several at a time, which hides a missing include
#   scripts/check_style.sh lint      after a build of the preset ci, whose compile commands it uses; `lint all` also with
#                                    the check for parameters that are copied for nothing, which takes many minutes
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
    # Linting is for the product; tests are formatted, compiled with all warnings and run under sanitizers. Most of
    # its time is the headers of libraries, parsed and walked once for each source: so many are linted together. Such a
    # file includes sources: they count as headers there, and including them is no mistake.
    folders='models|traces|sim|kernels|runtime|validation|cli'
    checks='--checks=-bugprone-suspicious-include'
    # The time of one check grows with the square of what is linted together; of all that is most of the time.
    if [ "${2:-}" != all ]; then checks+=',-performance-unnecessary-value-param'; fi
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' EXIT
    said() { grep -v 'warnings generated\|warnings treated as\|Suppressed\|Use -header-filter' >&2; }
    # Clang's own CUDA mode, host side; the toolkit has no longer a header that clang 14 includes.
    cuda="${CUDA_HOME:-/usr/local/cuda}"
    if [ -d "$cuda/include" ]; then
      mkdir "$work/stub"
      touch "$work/stub/texture_fetch_functions.h"
      git ls-files 'kernels/*.cu' | sed "s|.*|#include \"$PWD/&\"|" >"$work/together.cu"
      clang-tidy "$work/together.cu" --quiet --config-file=.clang-tidy "$checks" --header-filter="^$PWD/kernels/" -- \
        -x cuda --cuda-host-only -std=c++17 -I. -Wno-unknown-cuda-version -D__CLANG_CUDA_TEXTURE_INTRINSICS_H__ \
        -isystem "$work/stub" --cuda-path="$cuda" 2> >(said)
    else
      echo "== lint: CUDA ABSENT ($cuda): the kernels' .cu files were SKIPPED"
    fi
    python3 scripts/lint_together.py "$folders" "$work" >"$work/list"
    # GCC's own warning options are unknown to clang-tidy's parser.
    xargs -P "$(nproc)" -n 1 clang-tidy --quiet --config-file=.clang-tidy --extra-arg=-Wno-unknown-warning-option \
      -p "$work" "$checks" --header-filter="^$PWD/($folders)/" <"$work/list" 2> >(said)
    ;;
  alone)
    shift
    cmake --preset dev >/dev/null
    files="$(printf '%s\n' "${@:-$(git ls-files '*.cpp')}")"
    # Its compile command, to look at and not to compile.
    python3 - "$files" <<'PY' | xargs -P "$(nproc)" -d '\n' -n 1 bash -c
import json, os, sys
wanted = {os.path.abspath(name) for name in sys.argv[1].split()}
for entry in json.load(open("build/dev/compile_commands.json")):
    if os.path.join(entry["directory"], entry["file"]) in wanted:
        command = entry["command"].split(" -o ")[0].replace("ccache ", "").replace("/usr/bin/ccache", "")
        print("cd", entry["directory"], "&&", command, "-fsyntax-only -Werror", entry["file"])
PY
    ;;
  *)
    echo "usage: scripts/check_style.sh format | lint [all] | alone [FILE...]" >&2
    exit 2
    ;;
esac
