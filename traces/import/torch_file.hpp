// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "traces/import/pickle.hpp"
#include "traces/import/zip_archive.hpp"

namespace pregate::trace {

/// A file of torch.save: a zip archive with one data.pkl that describes the values, and a member for every
/// storage.
class TorchFile {
 public:
  /// Whole numbers of any shape, in row-major order.
  struct Numbers {
    std::vector<std::int64_t> shape, values;
  };

  /// `bytes` is the whole file and must outlive this. InputError at `where`, also for torch's older forms.
  TorchFile(std::string_view bytes, const std::string& where);

  [[nodiscard]] const Pickle& pickle() const { return pickle_; }
  /// The numbers of a tensor of whole numbers, or of lists nested `dimensions` deep. InputError at `where`:
  /// another shape, other elements, a tensor that reaches past its storage, over 2^26 numbers.
  [[nodiscard]] Numbers numbers(Pickle::Value value, std::size_t dimensions, const std::string& where) const;

 private:
  [[nodiscard]] Numbers of_tensor(const Pickle::Tensor& tensor, const std::string& where) const;
  void of_lists(Pickle::Value value, std::size_t depth, Numbers& numbers, const std::string& where) const;

  ZipArchive archive_;
  std::string folder_;       ///< of the members, with its slash
  std::size_t most_values_;  ///< of nested lists
  Pickle pickle_;
};

}  // namespace pregate::trace
