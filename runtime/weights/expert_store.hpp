// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "runtime/shapes.hpp"
#include "runtime/weights/direct_file.hpp"
#include "runtime/weights/weight_files.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::runtime {

/// Where the routed experts' weights are kept.
struct StoreOptions {
  std::int64_t distinct_experts = 0;  ///< buffers that experts share; 0 = one each
  std::string directory = {};  ///< of a file that they are fetched from; empty = page-locked host memory
  bool through_host =
      false;  ///< from the file they go to host memory first, so that any device can have them
  /// Host memory that is wanted beside that of the experts: both must be there.
  Bytes also_wanted = {};
};

/// The routed experts' weights, in page-locked host memory or in a file, from where they are fetched: those
/// of the user's files where they are given, else synthetic, different for every expert. With fewer buffers
/// than experts, experts share them in turn (key modulo buffers), which moves the same bytes. All are in one
/// format; in whichever it is, an expert's synthetic weights are the same ones before they are rounded.
class ExpertStore {
 public:
  /// Says before it allocates when host memory or the drive do not suffice: InputError naming
  /// --distinct-experts. InputError as well where the device cannot read files. `files` may be null; experts
  /// with weights of their own share no buffers (std::invalid_argument).
  ExpertStore(Device& device, const ModelShape& shape, const sim::ExpertMap& map, const StoreOptions& options,
              std::uint64_t seed, const WeightFiles* files = nullptr,
              sim::FormatId format = sim::model_format);

  /// What one of that format would take, of host memory or of the drive.
  static Bytes size_of(const ModelShape& shape, sim::FormatId format, const sim::ExpertMap& map,
                       const StoreOptions& options);

  /// Likewise of a whole expert, before a run: any device, wherever the experts are.
  void fetch_now(Device& device, Stream& stream, DeviceSpan to, sim::ExpertKey key) const;
  /// A whole expert, now. Precondition: !in_host_memory().
  void read(DirectReader& reader, sim::ExpertKey key, std::span<std::byte> to) const {
    reader.read(*file_, place(key), to);
  }
  /// Issues the copy of a whole expert back to where it was fetched from. Precondition: in_host_memory().
  void write_back(Stream& stream, sim::ExpertKey key, DeviceSpan from) const;
  /// Issues the copy of an expert's bytes from `at` on, as many as fit into `to`.
  void fetch(Stream& stream, DeviceSpan to, sim::ExpertKey key, Bytes at) const;
  [[nodiscard]] std::int64_t buffers() const { return buffers_; }
  [[nodiscard]] bool in_host_memory() const { return !file_; }
  /// An expert where it lies. Precondition: in_host_memory().
  [[nodiscard]] std::span<const std::byte> host_bytes(sim::ExpertKey key) const {
    return {memory_.span().part(place(key), bytes_).data(), static_cast<std::size_t>(bytes_.count)};
  }
  /// Of slots that are fetched into; others are correct as well, but slower.
  [[nodiscard]] std::int64_t slot_alignment() const { return file_ ? DirectFile::block : 256; }

  /// Seed and scale of the synthetic weights that `key` reads: [in][out], in the shape's type. For a
  /// reference that makes them again.
  static std::uint64_t seed_of(std::uint64_t seed, sim::ExpertKey key, std::int64_t buffers);
  static float scale(const ModelShape& shape);

 private:
  [[nodiscard]] Bytes place(sim::ExpertKey key) const { return {stride_.count * (key % buffers_)}; }
  void check_host_memory(Bytes wanted, Bytes also_wanted) const;

  std::int64_t buffers_ = 0;
  Bytes bytes_, stride_;
  PageLockedMemory memory_;  // one of the two
  std::optional<DirectFile> file_;
};

}  // namespace pregate::runtime
