// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "runtime/cache_places.hpp"
#include "runtime/shapes.hpp"

namespace pregate::runtime {

/// A mistake for tests: in one pass, that the check of outputs would see it.
struct CacheFault {
  enum class Kind {
    none,
    misplaced_key,    ///< the keys of tokens at positions 2i and 2i + 1 are each in the other's row
    mask_off_by_one,  ///< each token attends to the one after it, too; the last of a sequence not to itself
    left_out_append,  ///< keys and values are not written: what an earlier request left there is read
  };
  Kind kind = Kind::none;
  std::int64_t pass = 0;
};

/// Keys and values of all tokens of the sequences that run, in device memory, and the places of a pass's
/// tokens there. Layers with a window keep all the same.
class KvCache {
 public:
  KvCache(Device& device, const ModelShape& shape, const CacheRoom& room, std::int32_t most_tokens);

  /// Host side of a pass; nothing of an earlier one may still run.
  void prepare(const trace::Step& step, const CacheFault& fault, std::int64_t pass);
  void upload(Stream& stream);

  /// [rows][key_width], [rows][value_width] of a layer.
  [[nodiscard]] DeviceSpan keys(int layer) const { return layers_.at(static_cast<std::size_t>(layer)).keys; }
  [[nodiscard]] DeviceSpan values(int layer) const {
    return layers_.at(static_cast<std::size_t>(layer)).values;
  }
  /// By token of the pass, int32: the rows that its key and its value are written to, and the rows that it
  /// attends to in a layer with that window.
  struct Places {
    const std::int32_t *key_rows, *value_rows, *firsts, *counts;
  };
  [[nodiscard]] Places places(int window, std::int32_t first_token) const;
  [[nodiscard]] Bytes size() const { return memory_.size(); }

 private:
  struct LayerCache {
    DeviceSpan keys, values;
  };
  /// The arrays of places, each of most_tokens: rows of keys, rows of values, then two for each window.
  [[nodiscard]] Bytes array(std::size_t index) const;
  void attend(int window, std::size_t index, const CacheFault& fault, std::int64_t pass);

  std::int64_t most_tokens_;
  CachePlaces placed_;
  std::map<int, std::size_t> windows_;  // where the first of its two arrays is
  std::vector<LayerCache> layers_;
  DeviceMemory memory_;
  DeviceSpan places_;
  PageLockedMemory staged_;
};

}  // namespace pregate::runtime
