// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/reference.hpp"

namespace pregate::kernels::reference {

// Counting sort. While rows are handed out, offsets[e] is the next row of expert e, and so ends as the first
// row of expert e + 1: shifted back by one place, it is what was asked for.
void order(const OrderArgs& args) {
  check(args);
  const auto is_valid = [&args](std::int32_t expert) { return expert >= 0 && expert < args.experts; };
  std::fill_n(args.counts, args.experts, 0);
  for (std::int64_t pair = 0; pair < args.pairs; ++pair)
    if (is_valid(args.expert_ids[pair])) ++args.counts[args.expert_ids[pair]];

  args.offsets[0] = 0;
  for (std::int32_t expert = 0; expert < args.experts; ++expert)
    args.offsets[expert + 1] = args.offsets[expert] + args.counts[expert];

  for (std::int32_t pair = 0; pair < args.pairs; ++pair) {
    const std::int32_t expert = args.expert_ids[pair];
    const std::int32_t row = is_valid(expert) ? args.offsets[expert]++ : -1;
    args.positions[pair] = row;
    if (row >= 0) args.sources[row] = pair;
  }
  std::copy_backward(args.offsets, args.offsets + args.experts - 1, args.offsets + args.experts);
  args.offsets[0] = 0;
}

}  // namespace pregate::kernels::reference
