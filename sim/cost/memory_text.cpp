// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What a run takes of memory, in words.
#include <algorithm>
#include <cstdio>

#include "sim/cost/memory_model.hpp"

namespace pregate::sim {

namespace {

std::string gib_to_a_tenth(Bytes bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(bytes.count) / (1LL << 30));
  return text;
}

}  // namespace

const char* to_string(MemoryPurpose purpose) {
  switch (purpose) {
    case MemoryPurpose::dense_weights:
      return "dense_weights";
    case MemoryPurpose::resident_experts:
      return "resident_experts";
    case MemoryPurpose::expert_cache:
      return "expert_cache";
    case MemoryPurpose::working_buffers:
      return "working_buffers";
    case MemoryPurpose::prefill_buffers:
      return "prefill_buffers";
    case MemoryPurpose::kv_cache:
      return "kv_cache";
    case MemoryPurpose::activations:
      return "activations";
    case MemoryPurpose::workspace:
      return "workspace";
  }
  return "";
}

std::string MemoryUse::explain(const std::string& policy, const std::string& machine) const {
  const HeldElsewhere* fullest = fullest_elsewhere();
  if (fullest != nullptr && fullest->experts > elsewhere_usable) {
    return policy + " needs " + gib_to_a_tenth(fullest->experts) + " GiB of " + fullest->place +
           " for the experts that live there; it has " + gib_to_a_tenth(elsewhere_usable) + " GiB usable";
  }
  if (near_data > near_data_capacity) {
    return policy + " needs " + gib_to_a_tenth(near_data) + " GiB of the near-data device for the experts; " +
           machine + " has " + gib_to_a_tenth(near_data_capacity) + " GiB there";
  }
  if (drive > drive_capacity) {
    return policy + " needs " + gib_to_a_tenth(drive) + " GiB of the drive for the experts; " + machine +
           " has " + gib_to_a_tenth(drive_capacity) + " GiB";
  }
  if (total() <= usable && host_usable && host > *host_usable) {
    const std::string kv = host_kv.count > 0 ? " and the KV cache (" + gib_to_a_tenth(host_kv) + " GiB)" : "";
    return policy + " needs " + gib_to_a_tenth(host) + " GiB of host memory for the experts" + kv + "; " +
           machine + " has " + gib_to_a_tenth(*host_usable) + " GiB";
  }
  std::string text = policy + " needs " + gib_to_a_tenth(total()) + " GiB (";
  bool first = true;
  for (int i = 0; i < memory_purpose_count; ++i) {
    const Bytes part = peak[static_cast<std::size_t>(i)];
    if (part.count < (1LL << 20)) continue;
    std::string name = to_string(static_cast<MemoryPurpose>(i));
    std::replace(name.begin(), name.end(), '_', ' ');
    text += (first ? "" : ", ") + name + " " + gib_to_a_tenth(part);
    first = false;
  }
  return text + "); " + machine + " has " + gib_to_a_tenth(usable) + " GiB usable";
}

}  // namespace pregate::sim
