#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Makes Debian packages in build/package/: pregate (the program, its manual and completion; without the CUDA device,
# which is built where its toolkit is) and libpregate-dev (the libraries).
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/setup.sh --package
cmake --preset package >/dev/null
cmake --build --preset package
cd build/package
cpack
