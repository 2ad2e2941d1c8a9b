// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/kv_cache.hpp"

#include <algorithm>

namespace pregate::runtime {

namespace {

Bytes whole_lines(Bytes bytes) { return {(bytes.count + 255) / 256 * 256}; }

}  // namespace

KvCache::KvCache(Device& device, const ModelShape& shape, const CacheRoom& room, std::int32_t most_tokens)
    : most_tokens_(most_tokens), placed_(room) {
  const std::vector<LayerShape>& layers = shape.stacks.front();
  std::size_t arrays = 2;
  Bytes total;
  const auto all_rows = [&](int width) { return shape.element * (room.rows() * width); };
  for (const LayerShape& layer : layers) {
    const CachedAttention& attention = layer.over_cache;
    total += whole_lines(all_rows(attention.key_width())) + whole_lines(all_rows(attention.value_width()));
    if (attention.heads > 0 && windows_.emplace(attention.window, arrays).second) arrays += 2;
  }
  const Bytes of_places = array(arrays);
  memory_ = device.allocate(total + of_places, "the KV cache");
  staged_ = device.allocate_page_locked(of_places, "staging of places in the KV cache");
  Bytes at;
  const auto take = [&](Bytes size) {
    const DeviceSpan span = memory_.span().part(at, size);
    at += whole_lines(size);
    return span;
  };
  places_ = take(of_places);
  for (const LayerShape& layer : layers)
    layers_.push_back(
        {take(all_rows(layer.over_cache.key_width())), take(all_rows(layer.over_cache.value_width()))});
}

Bytes KvCache::array(std::size_t index) const {
  return whole_lines({4 * most_tokens_}) * static_cast<std::int64_t>(index);
}

void KvCache::prepare(const trace::Step& step, const CacheFault& fault, std::int64_t pass) {
  placed_.place(step);
  const auto at = [&](std::size_t index) { return staged_.span().part(array(index), {}).as<std::int32_t>(); };
  std::int32_t* keys = at(0);
  std::int32_t* values = at(1);
  const bool misplaced = fault.kind == CacheFault::Kind::misplaced_key && fault.pass == pass;
  for (const CachePlaces::Token& token : placed_.tokens()) {
    *values++ = token.row;
    const std::int32_t other = token.position ^ 1;
    *keys++ = misplaced && other < placed_.room().context ? token.row - token.position + other : token.row;
  }
  for (const auto& [window, index] : windows_) attend(window, index, fault, pass);
}

void KvCache::attend(int window, std::size_t index, const CacheFault& fault, std::int64_t pass) {
  std::int32_t* firsts = staged_.span().part(array(index), {}).as<std::int32_t>();
  std::int32_t* counts = staged_.span().part(array(index + 1), {}).as<std::int32_t>();
  const bool off_by_one = fault.kind == CacheFault::Kind::mask_off_by_one && fault.pass == pass;
  for (const CachePlaces::Token& token : placed_.tokens()) {
    const std::int32_t all = token.position + 1;  // causal: those before it, and itself
    const std::int32_t count = window > 0 ? std::min(all, window) : all;
    *firsts++ = token.row + 1 - count;
    *counts++ = !off_by_one ? count : token.last ? count - 1 : count + 1;
  }
}

void KvCache::upload(Stream& stream) {
  const Bytes size{4 * static_cast<std::int64_t>(placed_.tokens().size())};
  for (std::size_t index = 0; index < 2 + 2 * windows_.size(); ++index)
    stream.copy_to_device(places_.part(array(index), size), staged_.span().part(array(index), size));
  // What was never computed: keys and values of nothing, and not of an earlier request.
  for (const CachePlaces::Rows& rows : placed_.unwritten()) {
    const auto clear = [&](DeviceSpan all) {
      const Bytes width{all.size().count / placed_.room().rows()};
      stream.fill_zero(all.part(width * rows.first, width * rows.count));
    };
    for (const LayerCache& layer : layers_) {
      clear(layer.keys);
      clear(layer.values);
    }
  }
}

KvCache::Places KvCache::places(int window, std::int32_t first_token) const {
  const auto at = [&](std::size_t index) {
    return places_.part(array(index), {}).as<std::int32_t>() + first_token;
  };
  const std::size_t index = windows_.at(window);
  return {at(0), at(1), at(index), at(index + 1)};
}

}  // namespace pregate::runtime
