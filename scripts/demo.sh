#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs the main job on the embedded default: the four designs of the Pre-gated
# MoE paper on a generated Switch-Base-128 trace. Leaves results and a timeline in build/demo/.
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release --target pregate_cli
mkdir -p build/demo

run=(--profile switch-base-128 --requests 2 --model switch-base-128 --machine a100-80g-fastertransformer)
echo
build/release/bin/pregate compare "${run[@]}" --json build/demo/compare.json
echo
echo "One policy in detail, with a timeline:"
echo
build/release/bin/pregate simulate "${run[@]}" --policy pre-gated --timeline build/demo/timeline.json \
  --schedule build/demo/schedule.json
echo
echo "Results: build/demo/compare.json. Timeline: open build/demo/timeline.json in https://ui.perfetto.dev"
