// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

struct Reads {
  BytesPerSecond rate;
};

class ReadThrough final : public MissService {
 public:
  void decide(const Moment&, const Misses&, std::span<Serving> of_each) override {
    std::fill(of_each.begin(), of_each.end(), Serving{.service = Service::read});
  }
};

}  // namespace

/// A kernel whose pointers lead to page-locked host memory: Strata, and davetha's streamed kernels.
MissServiceEntry read_through() {
  MissServiceEntry entry;
  entry.name = "read-through";
  entry.help =
      "the GPU's kernel reads it over the link, where it is: it takes no slot, and nothing is cached";
  entry.mechanism = "read over the link";
  Fields<Reads> fields;
  fields
      .add("rate", &Reads::rate, "at which kernels read the host's memory",
           pregate::Range{1e6, 1e15, "from 1 MB/s to 1000 TB/s"})
      .or_zero("that of the link, or of the host's memory where that is less");
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any&) { return std::make_unique<ReadThrough>(); };
  entry.fetches = false;
  entry.read_rate = [](const std::any& reads) { return std::any_cast<const Reads&>(reads).rate; };
  return entry;
}

}  // namespace pregate::sim
