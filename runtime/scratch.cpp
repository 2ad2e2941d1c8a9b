// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/scratch.hpp"

#include <algorithm>
#include <vector>

namespace pregate::runtime {

namespace {

/// Lays ranges out one after the other: sizes first, then one allocation, then the ranges.
template <class SpanType>
class Layout {
 public:
  void add(SpanType& place, Bytes size) {
    wanted_.push_back({&place, total_, size});
    total_ += {(size.count + 255) / 256 * 256};
  }
  [[nodiscard]] Bytes total() const { return total_; }
  void place(SpanType all) const {
    for (const auto& [place, at, size] : wanted_) *place = all.part(at, size);
  }

 private:
  struct Wanted {
    SpanType* place;
    Bytes at, size;
  };
  std::vector<Wanted> wanted_;
  Bytes total_;
};

}  // namespace

Scratch::Scratch(Device& device, const ModelShape& shape, const sim::ExpertMap& map,
                 const sim::TraceScan& scan) {
  const std::int64_t tokens = scan.most_step_tokens;
  std::int64_t top_k = 1, experts = 1, inner = 1, expert_inner = 1, expert_in = 1;
  std::int64_t query = 0, key = 0, value = 0, attended_width = 0;
  std::vector<std::int64_t> logits_of_stack(shape.stacks.size());
  for (const sim::MoeLayer& layer : map.layers()) {
    top_k = std::max<std::int64_t>(top_k, layer.top_k);
    experts = std::max<std::int64_t>(experts, layer.experts);
    logits_of_stack[static_cast<std::size_t>(layer.model_stack)] += layer.experts + layer.top_k;
  }
  for (const auto& stack : shape.stacks) {
    for (const LayerShape& layer : stack) {
      inner = std::max<std::int64_t>({inner, layer.attention, layer.dense.columns_in()});
      query = std::max<std::int64_t>(query, layer.over_cache.query_width());
      key = std::max<std::int64_t>(key, layer.over_cache.key_width());
      value = std::max<std::int64_t>(value, layer.over_cache.value_width());
      attended_width = std::max<std::int64_t>(attended_width, layer.over_cache.output_width());
      expert_inner = std::max<std::int64_t>(expert_inner, layer.expert.inner);
      expert_in = std::max<std::int64_t>(expert_in, layer.expert.columns_in());
    }
  }
  const std::int64_t pairs = tokens * top_k;
  const std::int64_t all_logits = tokens * *std::max_element(logits_of_stack.begin(), logits_of_stack.end());
  const Bytes element = shape.element, word{4};
  const std::int64_t d = shape.d_model;

  Layout<DeviceSpan> layout;
  layout.add(hidden, element * (tokens * d));
  layout.add(normed, element * (tokens * d));
  layout.add(mid, element * (tokens * inner));
  layout.add(activated, element * (tokens * inner));
  layout.add(shared_out, element * (tokens * d));
  layout.add(queries, element * (tokens * query));
  layout.add(new_keys, element * (tokens * key));
  layout.add(new_values, element * (tokens * value));
  layout.add(attended, element * (tokens * attended_width));
  layout.add(logits, word * all_logits);
  layout.add(ids, word * pairs);
  layout.add(gate_weights, word * pairs);
  layout.add(counts, word * experts);
  layout.add(offsets, word * (experts + 1));
  layout.add(positions, word * pairs);
  layout.add(sources, word * pairs);
  layout.add(permuted, element * (pairs * d));
  layout.add(expert_mid, element * (pairs * expert_in));
  layout.add(expert_activated, element * (pairs * expert_inner));
  layout.add(expert_out, element * (pairs * d));
  layout.add(unpacked,
             shape.experts.blocks || shape.low ? element * (d * std::max(expert_in, expert_inner)) : Bytes{});
  layout.add(head_logits,
             element * (std::max(1, scan.most_sequences) * static_cast<std::int64_t>(shape.vocabulary)));
  device_ = device.allocate(layout.total(), "activations");
  layout.place(device_.span());

  Layout<PageLockedSpan> staged;
  staged.add(input, element * (tokens * d));
  staged.add(forced_logits, word * all_logits);
  staged.add(ids_read, word * pairs);
  staged.add(ids_kept, word * pairs);
  page_locked_ = device.allocate_page_locked(staged.total(), "staging of activations");
  staged.place(page_locked_.span());
}

}  // namespace pregate::runtime
