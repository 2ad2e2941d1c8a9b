// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pregate::trace {

/// What a pickle of plain data and torch tensors describes. Read, never executed: of the names that a pickle
/// may call, those that make a tensor or an ordered dictionary are known by name, and everything else is
/// refused by name. Values lie in one table and refer to each other by number, so a value that many others
/// hold, or that holds itself, costs no more than its bytes; whoever walks it decides how deep.
class Pickle {
 public:
  using Value = std::uint32_t;  ///< number of a value in this pickle

  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    real,
    text,
    list,
    tuple,
    dictionary,
    name,
    storage,
    tensor
  };

  /// Elements of a tensor: where they lie and in which steps.
  struct Tensor {
    std::string_view dtype;  ///< "Int", "Long", "Float", ... of the storage class
    std::string_view key;    ///< of the storage
    std::int64_t storage_elements = 0;
    std::int64_t offset = 0;  ///< in elements, as the strides
    std::vector<std::int64_t> sizes, strides;
  };

  /// `bytes` must outlive this. InputError at `where`: truncated, an operation or a name that no such file
  /// needs, over 64 MiB.
  Pickle(std::string_view bytes, const std::string& where);

  [[nodiscard]] Value root() const { return root_; }
  [[nodiscard]] Kind kind(Value value) const { return nodes_[value].kind; }
  [[nodiscard]] std::int64_t integer(Value value) const { return nodes_[value].number; }  ///< and booleans
  [[nodiscard]] std::string_view text(Value value) const;
  /// Of a list or tuple its values, of a dictionary keys and values in turn.
  [[nodiscard]] const std::vector<Value>& items(Value value) const { return lists_[nodes_[value].side]; }
  [[nodiscard]] const Tensor& tensor(Value value) const { return tensors_[nodes_[value].side]; }
  /// A dictionary's value of this key; `root()` of another pickle is no valid argument. False when it has
  /// none; InputError when it has two.
  bool find(Value dictionary, std::string_view key, Value& found) const;
  /// "a list", "the text 'abc'", ...: for messages.
  [[nodiscard]] std::string describe(Value value) const;

 private:
  friend class PickleMachine;
  struct Node {
    Kind kind = Kind::none;
    std::uint32_t side = 0;   ///< into lists_ or tensors_; of a text its length
    std::int64_t number = 0;  ///< of a text its place in the bytes
  };

  std::string_view bytes_;
  std::string where_;
  std::vector<Node> nodes_;
  std::vector<std::vector<Value>> lists_;
  std::vector<Tensor> tensors_;
  Value root_ = 0;
};

}  // namespace pregate::trace
