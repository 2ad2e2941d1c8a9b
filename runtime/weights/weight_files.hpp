// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "models/files/safetensors.hpp"
#include "models/model.hpp"
#include "runtime/device.hpp"
#include "runtime/weights/tensor_names.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::runtime {

/// Weights of routed experts from .safetensors files, one checkpoint in one file or several. An expert is
/// used when the files hold all its matrices; the others are left to be made up.
class WeightFiles {
 public:
  /// Opens the files and holds every expert's tensor in them against the model: its expert, its shape and its
  /// type (F32, F16 or BF16). Tensors of layers that the model or the trace does not have are left out.
  /// InputError, also when a file holds no expert's tensor, or no expert is whole. `map` must outlive it.
  WeightFiles(const std::vector<std::string>& paths, const ModelSpec& model, const sim::ExpertMap& map);

  /// Whether the files hold all of this expert.
  [[nodiscard]] bool has(sim::ExpertKey key) const;
  /// The expert's matrices, one after the other: gate, up and out, or in and out, in `type`, rounded to
  /// nearest where the file's is wider. What `to` has beyond them is left as it is; less room is
  /// std::invalid_argument. InputError when a value is not finite, or too large for `type`.
  void read(sim::ExpertKey key, ElementType type, std::span<std::byte> to) const;

  [[nodiscard]] std::int64_t experts() const { return whole_experts_; }
  /// For people: how many experts come from the files, from which file, and what was not used.
  [[nodiscard]] std::vector<std::string> notes() const;

 private:
  /// A tensor of files_[file].
  struct Place {
    int file = -1;
    std::size_t tensor = 0;
  };
  struct Expert {
    std::array<Place, 3> matrices;  ///< gate, up, out; or in, -, out
  };
  struct MatrixShape {
    std::int64_t rows, columns;
  };
  [[nodiscard]] static std::size_t index_of(ExpertMatrix::Part part);
  [[nodiscard]] const sim::MoeLayer* layer_of(const ExpertMatrix& matrix, const std::string& name,
                                              const std::string& path) const;
  [[nodiscard]] MatrixShape shape_of(const Stack& stack, std::size_t matrix) const;
  [[nodiscard]] bool is_gated(sim::ExpertKey key) const;
  void use(int file, std::size_t tensor);
  void count();

  const ModelSpec model_;
  const sim::ExpertMap& map_;
  std::deque<SafetensorsFile> files_;
  std::vector<std::int64_t> tensors_used_;     // by file
  std::vector<std::int64_t> experts_touched_;  // by file: whole experts with a matrix in it
  std::vector<Expert> experts_;                // by key
  std::int64_t whole_experts_ = 0, partial_experts_ = 0, tensors_left_out_ = 0;
  std::vector<const sim::MoeLayer*> layer_of_;  // by key
};

}  // namespace pregate::runtime
