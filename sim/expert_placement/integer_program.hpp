// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace pregate::sim {

/// minimise cost . x, subject to low <= A x <= high for each row; 0 <= x <= 1 and whole where `is_whole`,
/// 0 <= x otherwise.
struct IntegerProgram {
  static constexpr double unbounded = std::numeric_limits<double>::infinity();
  struct Term {
    int column = 0;
    double factor = 0;
  };
  struct Row {
    std::vector<Term> terms = {};
    double low = -unbounded, high = unbounded;
  };
  std::vector<double> cost;            ///< by column
  std::vector<std::uint8_t> is_whole;  ///< by column
  std::vector<Row> rows;
  double allowed_gap = 0;            ///< of the objective; a solution this close to the best is as good
  std::int64_t most_nodes = 20'000;  ///< of the search tree: a bound that every machine reaches alike

  int add_column(double price, bool whole) {
    cost.push_back(price);
    is_whole.push_back(whole ? 1 : 0);
    return static_cast<int>(cost.size()) - 1;
  }
};

struct IntegerSolution {
  std::vector<double> values;  ///< by column; empty: none was found
  double objective = 0;
  double bound = 0;         ///< no solution is lower
  bool is_optimal = false;  ///< up to the allowed gap
};

using IntegerProgramSolver = std::function<IntegerSolution(const IntegerProgram&)>;

}  // namespace pregate::sim
