// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The integer program of ExFlow (2401.08383): whole x says which GPU has an expert; y, of two experts, is at
// least 1 where some GPU has the first and not the second.
#include "models/error.hpp"
#include "sim/expert_placement/affinity.hpp"
#include "sim/expert_placement/expert_homes.hpp"

namespace pregate::sim {

namespace {

/// First columns of each layer's x; the column of (expert, GPU) follows.
std::vector<int> add_homes(const LayerChain& chain, IntegerProgram& program) {
  std::vector<int> first;
  for (const std::size_t experts : chain.experts) {
    const auto count = static_cast<int>(experts);
    first.push_back(static_cast<int>(program.cost.size()));
    for (int i = 0; i < count * chain.gpus; ++i) program.add_column(0, true);
    for (int expert = 0; expert < count; ++expert) {
      IntegerProgram::Row one{.low = 1, .high = 1};
      for (int gpu = 0; gpu < chain.gpus; ++gpu)
        one.terms.push_back({first.back() + expert * chain.gpus + gpu, 1});
      program.rows.push_back(std::move(one));
    }
    for (int gpu = 0; gpu < chain.gpus; ++gpu) {
      const double held = quota(experts, chain.gpus, gpu);
      IntegerProgram::Row full{.low = held, .high = held};
      for (int expert = 0; expert < count; ++expert)
        full.terms.push_back({first.back() + expert * chain.gpus + gpu, 1});
      program.rows.push_back(std::move(full));
    }
  }
  return first;
}

}  // namespace

AffinityHomes affinity_by_program(const LayerChain& chain, const IntegerProgramSolver& solve) {
  IntegerProgram program;
  const std::vector<int> first = add_homes(chain, program);
  for (std::size_t layer = 0; layer < chain.next.size(); ++layer) {
    const CountTable& next = *chain.next[layer];
    for (std::size_t i = 0; i < next.rows; ++i)
      for (std::size_t j = 0; j < next.columns; ++j) {
        if (next.at(i, j) <= 0) continue;
        const int y = program.add_column(next.at(i, j), false);
        for (int gpu = 0; gpu < chain.gpus; ++gpu) {
          const int here = first[layer] + static_cast<int>(i) * chain.gpus + gpu;
          const int there = first[layer + 1] + static_cast<int>(j) * chain.gpus + gpu;
          program.rows.push_back({.terms = {{y, 1}, {here, -1}, {there, 1}}, .low = 0});
        }
      }
  }
  // GPUs of equal quotas can change names: the first of them may as well have the first expert.
  if (chain.experts[0] % static_cast<std::size_t>(chain.gpus) == 0)
    program.rows.push_back({.terms = {{first[0], 1}}, .low = 1, .high = 1});
  program.allowed_gap = 0.5;  // crossings are whole

  const IntegerSolution solution = solve(program);
  if (solution.values.empty()) {
    throw InputError("affinity", "the integer program has no solution within its limit of nodes",
                     "choose local search, which takes any size");
  }
  AffinityHomes found{.method = AffinityMethod::integer_program};
  for (std::size_t layer = 0; layer < first.size(); ++layer) {
    std::vector<std::uint8_t>& home = found.homes.emplace_back(chain.experts[layer]);
    for (std::size_t expert = 0; expert < home.size(); ++expert)
      for (int gpu = 0; gpu < chain.gpus; ++gpu) {
        const auto column = static_cast<std::size_t>(first[layer]) +
                            expert * static_cast<std::size_t>(chain.gpus) + static_cast<std::size_t>(gpu);
        if (solution.values[column] > 0.5) home[expert] = static_cast<std::uint8_t>(gpu);
      }
  }
  found.crossings = crossings(chain, found.homes);
  found.bound = solution.is_optimal ? found.crossings : std::max(solution.bound, crossings_bound(chain));
  return found;
}

}  // namespace pregate::sim
