// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/reference.hpp"

namespace pregate::kernels::reference {

template <class Element>
void permute(const PermuteArgs<Element>& args) {
  check(args);
  const std::int64_t pairs = std::int64_t{args.tokens} * args.top_k;
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const std::int64_t row = args.positions[pair];
    if (row >= 0)
      std::copy_n(args.input + pair / args.top_k * args.width, args.width, args.permuted + row * args.width);
  }
}

template <class Element>
void unpermute(const UnpermuteArgs<Element>& args) {
  check(args);
  for (std::int64_t pair = 0; pair < args.pairs; ++pair) {
    const std::int64_t row = args.positions[pair];
    Element* output = args.output + pair * args.width;
    if (row >= 0) {
      std::copy_n(args.permuted + row * args.width, args.width, output);
    } else {
      std::fill_n(output, args.width, Element{});
    }
  }
}

template void permute(const PermuteArgs<float>&);
template void permute(const PermuteArgs<Float16>&);
template void permute(const PermuteArgs<BFloat16>&);
template void unpermute(const UnpermuteArgs<float>&);
template void unpermute(const UnpermuteArgs<Float16>&);
template void unpermute(const UnpermuteArgs<BFloat16>&);

}  // namespace pregate::kernels::reference
