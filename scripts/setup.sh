#!/usr/bin/env bash
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Installs what building and testing pregate needs, from Debian's packages. Does nothing when all is there.
#   scripts/setup.sh            all of it
#   scripts/setup.sh --program  only what the program needs
#   scripts/setup.sh --package  what scripts/package.sh needs
set -euo pipefail

packages=(
  g++ cmake ninja-build pkg-config
  libboost-dev libboost-program-options-dev
  libsqlite3-dev libtomlplusplus-dev nlohmann-json3-dev libssl-dev zlib1g-dev libzstd-dev
  libopenblas-dev liburing-dev coinor-libcbc-dev
)
case "${1:-}" in
  "")
    packages+=(
      ccache
      libgtest-dev libgmock-dev libbenchmark-dev
      libsimgrid-dev libnlopt-dev
      libopenmpi-dev openmpi-bin strace
      clang-format clang-tidy clang libclang-rt-14-dev lld
      dpkg-dev file help2man
      python3-dev python3-venv
    ) ;;
  --program) ;;
  --package) packages+=(dpkg-dev file help2man) ;;
  *) echo "usage: scripts/setup.sh [--program | --package]" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
  if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$'; then
    missing+=("$package")
  fi
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "error: this script installs Debian packages, but apt-get is not here" >&2
  echo "       hint: install the equivalents of: ${missing[*]}" >&2
  exit 2
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "error: installing packages needs root, and sudo is not here" >&2
    echo "       hint: as root: apt-get install ${missing[*]}" >&2
    exit 2
  fi
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
