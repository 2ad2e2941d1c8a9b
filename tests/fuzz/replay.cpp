// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// fuzz_replay FORMAT FOLDER: what of a fuzz harness every build can run. Each seed of the folder goes through
// the harness as it is, cut short, and with single bytes changed, up to a fixed number of variants a seed.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

using Bytes = std::vector<std::uint8_t>;
using Harness = int (*)(const std::uint8_t*, std::size_t);

#define HARNESS(format) extern "C" int fuzz_##format(const std::uint8_t*, std::size_t);
#include "harnesses.inc"
#undef HARNESS

namespace {

constexpr std::size_t max_variants = 600;  // of each kind, a seed

struct Named {
  const char* format;
  Harness run;
};
constexpr Named harnesses[] = {
#define HARNESS(format) {#format, &fuzz_##format},
#include "harnesses.inc"
#undef HARNESS
};

void run(Harness harness, const Bytes& bytes) {
  // A copy of exactly this size, so that AddressSanitizer sees a read past the end.
  const Bytes exact(bytes.begin(), bytes.end());
  harness(exact.data(), exact.size());
}

void run_all(Harness harness, const Bytes& seed) {
  run(harness, seed);
  const std::size_t stride = std::max<std::size_t>(1, seed.size() / max_variants);
  for (std::size_t at = 0; at < seed.size(); at += stride)
    run(harness, Bytes(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(at)));
  Bytes changed = seed;
  constexpr std::uint8_t values[] = {0x00, 0xff, 0x7f, '9'};
  for (std::size_t at = 0; at < seed.size(); at += stride) {
    changed[at] = values[(at / stride) % std::size(values)];
    run(harness, changed);
    changed[at] = seed[at];
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: fuzz_replay FORMAT FOLDER\n", stderr);
    return 2;
  }
  const auto* const found = std::find_if(std::begin(harnesses), std::end(harnesses), [&](const Named& named) {
    return std::strcmp(named.format, argv[1]) == 0;
  });
  if (found == std::end(harnesses)) {
    std::fprintf(stderr, "no harness of '%s'\n", argv[1]);
    return 2;
  }
  std::size_t seeds = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[2])) {
    std::ifstream file(entry.path(), std::ios::binary);
    run_all(found->run, Bytes(std::istreambuf_iterator<char>(file), {}));
    ++seeds;
  }
  std::printf("%s: %zu seeds\n", found->format, seeds);
  return seeds == 0 ? 1 : 0;
}
