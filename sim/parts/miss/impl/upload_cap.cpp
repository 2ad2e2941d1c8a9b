// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/miss/miss_service.hpp"

namespace pregate::sim {

namespace {

struct Cap {
  int uploads = 2;
  int below = 32;
};

class UploadCap final : public MissService {
 public:
  explicit UploadCap(const Cap& cap) : uploads_(static_cast<std::size_t>(cap.uploads)), below_(cap.below) {}
  void decide(const Moment& moment, const Misses&, std::span<Serving> of_each) override {
    if (moment.tokens >= below_) return;
    std::fill(of_each.begin(), of_each.end(), computed_at(moment.cpu));
    for (Serving& first : of_each.first(std::min(uploads_, of_each.size()))) first.is_copied_too = true;
  }

 private:
  std::size_t uploads_;
  int below_;
};

}  // namespace

/// llama.cpp's cache of experts (ggml-org/llama.cpp, pull request 27861).
MissServiceEntry upload_cap() {
  MissServiceEntry entry;
  entry.name = "upload-cap";
  entry.help =
      "as cpu-for-few-tokens; of those that the CPU computes the first 'uploads' of a layer are copied into "
      "the cache meanwhile";
  entry.mechanism = "cpu-computed, a few copied meanwhile";
  Fields<Cap> fields;
  fields.add("uploads", &Cap::uploads, "misses of a layer that are copied",
             pregate::Range{1, 1e6, "from 1 to 1000000"});
  fields.add("below", &Cap::below, "tokens of a pass from which its misses are copied",
             pregate::Range{1, 1e9, "from 1 to 1000000000"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& cap) {
    return std::make_unique<UploadCap>(std::any_cast<const Cap&>(cap));
  };
  entry.copies_too = true;
  entry.uses_cpu = true;
  return entry;
}

}  // namespace pregate::sim
