// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/files/gguf_keys.hpp"
#include "models/model.hpp"

namespace pregate {

/// The tensors of one layer by their names inside it: "ffn_down_exps.weight" of "blk.3.ffn_down_exps.weight".
class GgufLayer {
 public:
  void add(std::string_view name, const GgufTensor& tensor) { tensors_.emplace(name, &tensor); }

  [[nodiscard]] const GgufTensor* find(std::string_view name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : found->second;
  }
  /// With ".weight".
  [[nodiscard]] const GgufTensor* weight(std::string_view name) const {
    return find(std::string(name) + ".weight");
  }
  [[nodiscard]] bool has(std::string_view name) const { return weight(name) != nullptr; }
  /// Dimension `i` of that weight: 0 the input width, 1 the output width, 2 the experts. 1 where it has none.
  [[nodiscard]] std::int64_t size(std::string_view name, std::size_t i) const {
    const GgufTensor* tensor = weight(name);
    return tensor == nullptr || i >= tensor->dims.size() ? 1 : tensor->dims[i];
  }
  [[nodiscard]] const std::map<std::string, const GgufTensor*, std::less<>>& tensors() const {
    return tensors_;
  }

 private:
  std::map<std::string, const GgufTensor*, std::less<>> tensors_;
};

/// What a layer is made of, from its tensors, with the sizes that only the metadata has. InputError naming
/// the layer for what is not known here, or does not fit together.
Mixer read_gguf_mixer(const GgufKeys& keys, std::string_view architecture, const GgufLayer& tensors,
                      int layer, int d_model);
FeedForward read_gguf_feed_forward(const GgufKeys& keys, const GgufLayer& tensors, int layer, int d_model);

/// Which part a tensor of a layer belongs to.
enum class GgufPart { mixer, feed_forward, experts };
GgufPart part_of(std::string_view name);

}  // namespace pregate
