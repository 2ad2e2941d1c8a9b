// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/formats/file_mix.hpp"
#include "models/model.hpp"

namespace pregate {

/// One weight matrix of a layer: how files name it, and what it weighs among those of its part.
struct Matrix {
  TensorRole role = TensorRole::other;
  std::int64_t parameters = 0;
  std::int64_t row = 0;                 ///< input width
  std::vector<std::string_view> names;  ///< the last part of the name in checkpoints: "q_proj"
};

/// The projections of a mixer; norms, biases and convolutions are too small to have a say.
std::vector<Matrix> mixer_matrices(const Mixer& mixer, std::int64_t d_model);
/// Gate (where it is), up and down of a feed-forward of `width` intermediate values.
std::vector<Matrix> feed_forward_matrices(std::int64_t d_model, std::int64_t width, bool gated);

/// What a layer's part is called in checkpoints, up to the matrix: "mlp.experts.0".
enum class Part { experts, attention, shared_experts, dense_ffn };
std::vector<std::string_view> part_names(Part part);

}  // namespace pregate
