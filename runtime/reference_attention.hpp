// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "runtime/shapes.hpp"
#include "traces/trace.hpp"

namespace pregate::runtime {

/// Causal attention of each token to those before it in its sequence, by the definition and in double: the
/// part of ReferenceModel that remembers earlier passes. It keeps keys and values by sequence and position
/// and knows of no cache.
class ReferenceAttention {
 public:
  using Matrix = std::vector<double>;

  /// A pass begins; passes come in the trace's order.
  void begin(const trace::Step& step);
  /// Of a layer: [tokens][heads * value_dim], from the projections of its rows.
  Matrix attend(int layer, const CachedAttention& shape, const Matrix& queries, const Matrix& keys,
                const Matrix& values);

 private:
  struct Token {
    int sequence, position;
  };
  struct Remembered {
    Matrix key, value;
  };
  std::vector<Token> tokens_;                                   // of the pass
  std::map<std::tuple<int, int, int>, Remembered> remembered_;  // by layer, sequence and position
};

}  // namespace pregate::runtime
