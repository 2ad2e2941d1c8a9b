// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

struct Cap {
  int uploads = 2;
};

class UploadCap final : public MissService {
 public:
  explicit UploadCap(const Cap& cap) : uploads_(static_cast<std::size_t>(cap.uploads)) {}
  void decide(const Moment& moment, const Misses&, std::span<Serving> of_each) override {
    std::fill(of_each.begin(), of_each.end(), computed_at(moment.cpu));
    for (Serving& first : of_each.first(std::min(uploads_, of_each.size()))) first.is_copied_too = true;
  }

 private:
  std::size_t uploads_;
};

}  // namespace

/// llama.cpp's cache of experts (ggml-org/llama.cpp, pull request 27861).
MissServiceEntry upload_cap() {
  MissServiceEntry entry;
  entry.name = "upload-cap";
  entry.help = "the CPU computes it; the first 'uploads' of a layer are copied into the cache meanwhile";
  entry.mechanism = "cpu-computed, a few copied meanwhile";
  Fields<Cap> fields;
  fields.add("uploads", &Cap::uploads, "misses of a layer that are copied",
             pregate::Range{1, 1e6, "from 1 to 1000000"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& cap) {
    return std::make_unique<UploadCap>(std::any_cast<const Cap&>(cap));
  };
  entry.fetches = false;
  entry.copies_too = true;
  entry.uses_cpu = true;
  return entry;
}

}  // namespace pregate::sim
