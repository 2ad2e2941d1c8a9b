#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Is the simulator right on this machine? Builds, tests the kernels and the runtime on the GPU, measures the machine,
# simulates and executes the same runs, and packs what came out. About ten minutes; docs/validate-on-your-gpu.md.
#   scripts/validate_my_gpu.sh [--device cuda|host] [--model NAME] [--seconds N] [-o FOLDER]
set -euo pipefail
here="$PWD"
cd "$(dirname "$0")/.."

device=cuda
model=""
seconds=120
folder=build/my-gpu
usage() {
  echo "usage: scripts/validate_my_gpu.sh [--device cuda|host] [--model NAME] [--seconds N] [-o FOLDER]" >&2
  exit 2
}
while [ $# -gt 0 ]; do
  if [ "$1" = -h ] || [ "$1" = --help ] || [ $# -lt 2 ]; then usage; fi
  case "$1" in
    --device) device="$2" ;;
    --model) model="$2" ;;
    --seconds) seconds="$2" ;;
    -o) case "$2" in /*) folder="$2" ;; *) folder="$here/$2" ;; esac ;;
    *) usage ;;
  esac
  shift 2
done
if [ -z "$model" ]; then
  # All experts are in host memory, page-locked: 27, 6.8 or 1.7 GiB of them. The largest that leaves as much again.
  available="$(awk '/^MemAvailable:/ {print int($2 / 1048576)}' /proc/meminfo)"
  model=switch-base-8
  if [ "$available" -ge 14 ]; then model=switch-base-32; fi
  if [ "$available" -ge 56 ]; then model=switch-base-128; fi
  echo "model: $model, as $available GiB of memory are free (--model names another)"
fi
if [ -e "$folder" ]; then
  echo "error: $folder is there already" >&2
  echo "       hint: remove it, or name another folder with -o" >&2
  exit 2
fi

build=build/my-gpu-program
options=(-G Ninja -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=12)
case "$device" in
  cuda)
    if ! nvidia-smi -L; then
      echo "error: no NVIDIA GPU answers (nvidia-smi)" >&2
      echo "       hint: --device host measures this computer's cores instead" >&2
      exit 2
    fi
    ./scripts/setup.sh
    cmake "${options[@]}" -DPREGATE_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native "-DPREGATE_TEST_FOLDERS=kernels;runtime"
    cmake --build "$build" ;;
  host)
    ./scripts/setup.sh --program
    cmake "${options[@]}" -DPREGATE_CUDA=OFF -DPREGATE_BUILD_TESTS=OFF >/dev/null
    cmake --build "$build" --target pregate_cli ;;
  *) usage ;;
esac
pregate="$build/bin/pregate"

mkdir -p "$folder"
{
  "$pregate" --version
  git rev-parse HEAD 2>/dev/null || true
  uname -srm
  lscpu | grep -E '^(Model name|CPU\(s\)|Socket|NUMA node\(s\))' || true
  if [ "$device" = cuda ]; then
    nvidia-smi --query-gpu=name,driver_version,memory.total,pcie.link.gen.max,pcie.link.width.max --format=csv
    "$(sed -n 's/^CMAKE_CUDA_COMPILER:[^=]*=//p' "$build/CMakeCache.txt")" --version | tail -2
  fi
} >"$folder/machine.txt"

failed=""
if [ "$device" = cuda ]; then
  ctest --test-dir "$build" -L gpu --output-on-failure --output-log "$folder/tests.log" || failed+=" tests"
fi
# What is refused, as on a machine that something else uses, is packed as well.
"$pregate" calibrate --device "$device" --model "$model" --seconds "$seconds" -o "$folder/machine.toml" 2>&1 |
  tee "$folder/calibration.txt" || failed+=" calibration"
if [ -e "$folder/machine.toml" ]; then
  "$pregate" validate --device "$device" --machine "$folder/machine.toml" --model "$model" \
    --policy gpu-only,on-demand,prefetch-all,pre-gated --caches 0,12%,50% --batches 1,4 \
    --report "$folder/validation.html" --json "$folder/validation.json" | tee "$folder/validation.txt" || failed+=" gates"
fi

tar -czf "$folder.tar.gz" -C "$(dirname "$folder")" "$(basename "$folder")"
echo "Packed into $folder.tar.gz: the machine as measured, the comparison, and the device's name and driver."
if [ -n "$failed" ]; then
  echo "Failed:$failed. That is a finding: please share the file." >&2
  exit 1
fi
