// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "models/fields/field.hpp"

// What is believed of a machine's numbers.
namespace pregate {

/// The counts from 2 to `most`, as a condition names them.
inline std::vector<std::string> several(int most) {
  std::vector<std::string> counts;
  for (int count = 2; count <= most; ++count) counts.push_back(std::to_string(count));
  return counts;
}

inline Range some_memory() { return {1e6, 1e16, "from 1 MB to 10 PB"}; }
inline Range any_rate() { return {1e6, 1e14, "from 1 MB/s to 100 TB/s"}; }
inline Range any_flop_rate() { return {1e9, 1e18, "from 1 GFLOP/s to 1000 PFLOP/s"}; }
inline Range part_of_one() { return {1e-6, 1, "above 0 and at most 1"}; }
/// Weights that a multiprocessor takes in a cycle; 128 lanes of dot products of four would be 512.
inline Range few_a_cycle() { return {0, 512, "from 0 to 512"}; }
/// FLOP of a multiprocessor in a cycle; 4096 has Blackwell in fp4.
inline Range flop_a_cycle() { return {0, 65'536, "from 0 to 65536"}; }
inline Range any_share() { return {0, 1, "from 0 to 1"}; }
inline Range some_times() { return {0, 16, "from 0 to 16"}; }
inline Range some_watts() { return {0, 10'000, "from 0 to 10000"}; }
inline Range some_weights() { return {0, 65'536, "from 0 to 65536"}; }
inline Range some_tokens_wide() { return {8, 4096, "from 8 to 4096"}; }
inline Range bytes_of_a_number() { return {0, 8, "from 0 to 8"}; }
inline Range cycles_a_token() { return {0, 1e6, "from 0 to 1000000"}; }
/// Copies that an expert is made of: its matrices, with scales apart.
inline Range some_calls() { return {0, 16, "from 0 to 16"}; }
inline Range an_exponent() { return {0, 64, "from 0 to 64"}; }
inline Range any_cost() { return {0, 60, "from 0 s to 60 s"}; }

}  // namespace pregate
