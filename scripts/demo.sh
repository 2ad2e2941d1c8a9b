#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Installs what the program needs where it is missing, builds the program alone, and runs the main job on embedded
# defaults: what to run on a card that a current model does not fit, and beside it the four designs of the Pre-gated
# MoE paper. Leaves a page, results and a timeline in build/demo/.
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/setup.sh --program
cmake --preset program >/dev/null
cmake --build --preset program
pregate=build/program/bin/pregate
mkdir -p build/demo

say() { printf '\n%s\n\n' "$1"; }

say "gpt-oss-120b does not fit an RTX 3090. What should run there, and what would an upgrade bring?"
$pregate advise --model gpt-oss-120b --machine rtx3090-pcie4 --host desktop-ddr4-3200 --prompt 4096 --output 512 \
  --report build/demo/advise.html

paper=(--profile switch-base-128 --requests 2 --model switch-base-128 --machine a100-80g-fastertransformer)
say "The four designs of the Pre-gated MoE paper, on its machine:"
$pregate compare "${paper[@]}" --json build/demo/compare.json

say "One of them in detail, with a timeline:"
$pregate simulate "${paper[@]}" --policy pre-gated --timeline build/demo/timeline.json \
  --schedule build/demo/schedule.json

say "In build/demo: advise.html, compare.json, and timeline.json to be opened in https://ui.perfetto.dev"
