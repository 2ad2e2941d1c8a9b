// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/arguments.hpp"
#include "tests/kernels/random_rows.hpp"

namespace pregate::kernels {

/// Random queries, keys and values; token t attends to a range of rows that ends somewhere in the cache.
template <class Element>
struct AttentionCase {
  AttentionCase(std::int32_t token_count, std::int32_t query_heads, std::int32_t key_heads,
                std::int32_t key_dim, std::int32_t output_dim, std::int32_t rows)
      : tokens(token_count),
        heads(query_heads),
        kv_heads(key_heads),
        head_dim(key_dim),
        value_dim(output_dim),
        scale(1 / std::sqrt(static_cast<float>(key_dim))),
        queries(random_values<Element>(size(tokens * heads * head_dim), 1, 2)),
        keys(random_values<Element>(size(rows * kv_heads * head_dim), 2, 2)),
        values(random_values<Element>(size(rows * kv_heads * value_dim), 3)),
        output(size(tokens * heads * value_dim)) {
    for (std::int32_t t = 0; t < tokens; ++t) {
      const std::int32_t end = std::max(1, rows - tokens + t + 1);
      firsts.push_back(t % 3 == 2 ? end / 2 : 0);  // a window
      counts.push_back(end - firsts.back());
    }
  }
  /// On the host.
  [[nodiscard]] AttentionArgs<Element> args() {
    return {queries.data(), keys.data(), values.data(), firsts.data(), counts.data(), output.data(),
            tokens,         heads,       kv_heads,      head_dim,      value_dim,     scale};
  }
  static std::size_t size(std::int32_t count) { return static_cast<std::size_t>(count); }

  std::int32_t tokens, heads, kv_heads, head_dim, value_dim;
  float scale;
  std::vector<Element> queries, keys, values, output;
  std::vector<std::int32_t> firsts, counts;
};

}  // namespace pregate::kernels
