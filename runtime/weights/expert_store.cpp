// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/expert_store.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "models/error.hpp"
#include "runtime/host/system_memory.hpp"
#include "runtime/weights/block_weights.hpp"
#include "runtime/weights/synthetic_weights.hpp"

namespace pregate::runtime {

namespace {
constexpr std::uint64_t expert_seed = 1;
constexpr std::int64_t expert_alignment = DirectFile::block;  ///< of every expert

Bytes block_aligned(Bytes expert) {
  return {(expert.count + expert_alignment - 1) / expert_alignment * expert_alignment};
}

std::int64_t buffers_of(const StoreOptions& options, const sim::ExpertMap& map) {
  const std::int64_t distinct = options.distinct_experts;
  return distinct > 0 ? std::min<std::int64_t>(distinct, map.keys()) : map.keys();
}

}  // namespace

Bytes ExpertStore::size_of(const ModelShape& shape, sim::FormatId format, const sim::ExpertMap& map,
                           const StoreOptions& options) {
  return block_aligned(shape.in(format).bytes) * buffers_of(options, map);
}

ExpertStore::ExpertStore(Device& device, const ModelShape& shape, const sim::ExpertMap& map,
                         const StoreOptions& options, std::uint64_t seed, const WeightFiles* files,
                         sim::FormatId format)
    : buffers_(buffers_of(options, map)), bytes_(shape.in(format).bytes), stride_(block_aligned(bytes_)) {
  const std::optional<kernels::BlockFormat>& blocks = shape.in(format).blocks;
  if (files != nullptr && buffers_ != map.keys())
    throw std::invalid_argument("experts of files that share buffers");
  const Bytes wanted = stride_ * buffers_;
  std::optional<AlignedBuffer> passing;  // on its way to the file
  if (options.directory.empty()) {
    check_host_memory(wanted, options.also_wanted);
    memory_ = device.allocate_page_locked(wanted, "expert weights");
  } else if (!options.through_host && !device.info().reads_files) {
    throw InputError("--experts-on-ssd",
                     "a " + device.info().kind + " device cannot read experts from a file", "--device host");
  } else {
    file_.emplace(options.directory, wanted, "--experts-on-ssd");
    passing.emplace(stride_);
  }
  if (files != nullptr && blocks) {
    throw InputError("weights from files", "experts from files are not packed into blocks",
                     "take synthetic experts, or formats without blocks (--weights, formats.low)");
  }
  std::vector<float> values;  // on their way into blocks
  const auto whole = static_cast<std::size_t>(bytes_.count / shape.element.count * shape.element.count);
  for (std::int64_t i = 0; i < buffers_; ++i) {
    const auto key = static_cast<sim::ExpertKey>(i);
    std::byte* const data = passing ? passing->span().data() : memory_.span().part(place(key), bytes_).data();
    if (files != nullptr && files->has(key)) {
      files->read(key, shape.type, {data, whole});
    } else if (blocks) {
      const std::int64_t count = bytes_.count / kernels::block_bytes(*blocks);
      values.resize(static_cast<std::size_t>(count * kernels::block_values(*blocks)));
      fill_synthetic(std::as_writable_bytes(std::span(values)), ElementType::f32,
                     seed_of(seed, key, buffers_), scale(shape));
      const auto packed = static_cast<std::size_t>(count * kernels::block_bytes(*blocks));
      pack_blocks(values, *blocks, {data, packed});
    } else {
      fill_synthetic({data, whole}, shape.type, seed_of(seed, key, buffers_), scale(shape));
    }
    if (passing) file_->write(place(key), passing->span());
  }
}

void ExpertStore::check_host_memory(Bytes wanted, Bytes also_wanted) const {
  const Bytes available = system_memory().available;
  const Bytes all = wanted + also_wanted;
  if (all <= available) return;
  throw InputError(
      "host memory",
      std::to_string(buffers_) + " experts of " + to_string(bytes_) + " need " + to_string(wanted) +
          (also_wanted.count > 0 ? ", those of formats.low " + to_string(also_wanted) : "") + ", but " +
          to_string(available) + " are available",
      "share buffers between experts: --distinct-experts " +
          std::to_string(std::max<std::int64_t>(1, available.count / 2 / (all.count / buffers_))));
}

void ExpertStore::fetch(Stream& stream, DeviceSpan to, sim::ExpertKey key, Bytes at) const {
  if (at.count < 0 || at.count > bytes_.count - to.size().count) throw std::out_of_range("part of an expert");
  if (file_) {
    stream.read_to_device(to, *file_, place(key) + at);
  } else {
    stream.copy_to_device(to, memory_.span().part(place(key) + at, to.size()));
  }
}

void ExpertStore::fetch_now(Device& device, Stream& stream, DeviceSpan to, sim::ExpertKey key) const {
  if (in_host_memory() || device.info().reads_files) {
    fetch(stream, to, key, {});
    return;
  }
  const PageLockedMemory passing = device.allocate_page_locked(stride_, "an expert from the drive");
  DirectReader reader;
  read(reader, key, {passing.span().data(), static_cast<std::size_t>(bytes_.count)});
  stream.copy_to_device(to, passing.span().part({}, bytes_));
  stream.synchronize();
}

void ExpertStore::write_back(Stream& stream, sim::ExpertKey key, DeviceSpan from) const {
  stream.copy_to_host(memory_.span().part(place(key), from.size()), from);
}

std::uint64_t ExpertStore::seed_of(std::uint64_t seed, sim::ExpertKey key, std::int64_t buffers) {
  return seed_for(seed, expert_seed, key % static_cast<std::uint64_t>(buffers));
}

float ExpertStore::scale(const ModelShape& shape) {
  return std::sqrt(3.0F / static_cast<float>(shape.d_model));
}

}  // namespace pregate::runtime
