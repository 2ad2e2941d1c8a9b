// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/formats/packing.hpp"

#include <algorithm>
#include <string_view>

#include "models/formats/file_mix.hpp"
#include "models/formats/ggml_types.hpp"

namespace pregate {
namespace {

Packing packing_of(std::string_view type) {
  if (type == "f32" || type == "f16" || type == "f64" || type == "bf16") return Packing::whole;
  if (type.starts_with("iq1") || type.starts_with("iq2")) return Packing::codebook_8;
  if (type.starts_with("iq3")) return Packing::codebook_4;
  if (type == "iq4_xs" || type.ends_with("_k") || type.starts_with("tq")) return Packing::super_blocks;
  return Packing::blocks;
}

/// One tensor more.
void add(std::vector<PackedPart>& parts, Packing packing) {
  const auto known = std::find_if(parts.begin(), parts.end(),
                                  [&](const PackedPart& part) { return part.packing == packing; });
  if (known == parts.end()) {
    parts.push_back({packing, 1});
  } else {
    known->share += 1;
  }
}

}  // namespace

std::vector<PackedPart> packed_parts(const std::string& format) {
  const std::string type = format == "fp32" ? "f32" : format == "fp16" ? "f16" : format;
  if (const GgmlType* known = ggml_type_named(type); known != nullptr && known->weights)
    return {{packing_of(known->name), 1}};
  const FileMix* mix = file_mix(format);
  if (mix == nullptr) return {{Packing::other, 1}};
  std::vector<PackedPart> parts;
  for (int layer = 0; layer < mean_layers; ++layer) {
    for (const TensorRole role : {TensorRole::ffn_gate, TensorRole::ffn_up, TensorRole::ffn_down})
      add(parts, packing_of(type_in(*mix, mean_expert(role, layer)).name));
  }
  for (PackedPart& part : parts) part.share /= 3 * mean_layers;
  return parts;
}

}  // namespace pregate
