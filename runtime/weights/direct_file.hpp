// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "models/units.hpp"

namespace pregate::runtime {

/// A file that is read past the page cache (O_DIRECT): every read comes from the drive. It has no name and
/// vanishes with the object or the process, however that ends.
class DirectFile {
 public:
  /// What offsets, sizes and addresses of direct reads are multiples of.
  static constexpr std::int64_t block = 4096;

  /// Of `size` bytes, rounded up to whole blocks, in `directory`. InputError naming `where` when it cannot be
  /// made there, the file system has no direct reads (tmpfs) or too little room.
  DirectFile(const std::string& directory, Bytes size, const std::string& where);
  ~DirectFile();
  DirectFile(const DirectFile&) = delete;
  DirectFile& operator=(const DirectFile&) = delete;

  [[nodiscard]] Bytes size() const { return size_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// `at`, the size of `data` and its address are multiples of `block`. InputError when the disk is full.
  void write(Bytes at, std::span<const std::byte> data);

 private:
  int descriptor_ = -1;
  Bytes size_;
  std::string where_;
};

/// Memory that direct reads and writes accept; zeros at first.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(Bytes size);
  [[nodiscard]] std::span<std::byte> span() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> data_;
};

/// Reads parts of direct files, several requests in flight through io_uring, or one after another where the
/// kernel refuses that. For one thread at a time.
class DirectReader {
 public:
  /// What a request for `size` bytes from `at` on comes to: bytes read, or the negative of an errno; `answer`
  /// is the drive's own. For drives that fail in tests.
  using Answer = std::function<std::int64_t(std::int64_t at, std::int64_t size, std::int64_t answer)>;

  /// False: one request after another, as where the kernel refuses io_uring.
  explicit DirectReader(bool uses_io_uring = true, Answer answers = nullptr);
  ~DirectReader();
  DirectReader(const DirectReader&) = delete;
  DirectReader& operator=(const DirectReader&) = delete;

  /// Any offset, size and address; whole blocks go straight to `to`, the rest through a buffer. DeviceError
  /// when the drive fails; std::out_of_range when the part is not in the file.
  void read(const DirectFile& file, Bytes at, std::span<std::byte> to);
  /// "io_uring", or "pread (no io_uring: why)".
  [[nodiscard]] std::string method() const;

 private:
  void read_blocks(const DirectFile& file, std::int64_t at, std::byte* to, std::int64_t size);
  void read_in_flight(const DirectFile& file, std::int64_t at, std::byte* to, std::int64_t size);

  struct Ring;
  Answer answers_;
  std::unique_ptr<Ring> ring_;  // null without io_uring
  std::string refusal_;
  AlignedBuffer buffer_;
};

}  // namespace pregate::runtime
