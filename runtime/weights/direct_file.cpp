// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/direct_file.hpp"

#include <fcntl.h>
#include <liburing.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "models/error.hpp"
#include "runtime/device_error.hpp"

namespace pregate::runtime {

namespace {

constexpr std::int64_t block = DirectFile::block;
/// A request; with `in_flight` of them a drive has enough to do.
constexpr std::int64_t piece = std::int64_t{512} << 10;
constexpr unsigned in_flight = 8;

std::string text_of(int error) { return std::strerror(error); }

bool is_aligned(std::int64_t value) { return value % block == 0; }
bool is_aligned(const void* address) { return reinterpret_cast<std::uintptr_t>(address) % block == 0; }
std::int64_t round_up(std::int64_t value) { return (value + block - 1) / block * block; }

/// Some kernels accept direct reads of a file system that is itself memory.
bool is_in_memory(const std::string& directory) {
  struct statfs kind = {};
  return statfs(directory.c_str(), &kind) == 0 && (kind.f_type == TMPFS_MAGIC || kind.f_type == RAMFS_MAGIC);
}

[[noreturn]] void fail(std::int64_t at, const std::string& why) {
  throw DeviceError("reading an expert from its file, at byte " + std::to_string(at) + ": " + why);
}

}  // namespace

DirectFile::DirectFile(const std::string& directory, Bytes size, const std::string& where)
    : size_{round_up(size.count)}, where_(where) {
  struct statvfs room = {};
  if (statvfs(directory.c_str(), &room) != 0)
    throw InputError(where_, "'" + printable(directory, 200) + "': " + text_of(errno),
                     "name a directory on the drive that experts are to be read from");
  const Bytes free{static_cast<std::int64_t>(room.f_bavail) * static_cast<std::int64_t>(room.f_frsize)};
  if (size_ > free) {
    throw InputError(where_,
                     "the experts need " + to_string(size_) + ", but '" + printable(directory, 200) +
                         "' has " + to_string(free) + " free",
                     "name a directory on a larger drive, or let experts share buffers: --distinct-experts");
  }
  std::string name = directory + "/pregate-experts-XXXXXX";
  descriptor_ = mkostemp(name.data(), O_DIRECT | O_CLOEXEC);
  const int error = errno;
  // A file system without direct reads says so only when the file is there. A name that was taken is not
  // ours.
  if (descriptor_ >= 0 || error == EINVAL) unlink(name.c_str());
  const bool has_no_drive = descriptor_ >= 0 ? is_in_memory(directory) : error == EINVAL;
  if (descriptor_ >= 0 && !has_no_drive) return;
  if (descriptor_ >= 0) close(descriptor_);
  if (has_no_drive) {
    throw InputError(where_,
                     "the file system of '" + printable(directory, 200) +
                         "' has no direct reads (O_DIRECT), so it would be measured from memory",
                     "name a directory on the drive itself, not on a tmpfs");
  }
  throw InputError(where_, "no file can be made in '" + printable(directory, 200) + "': " + text_of(error),
                   "name a directory that you may write to");
}

DirectFile::~DirectFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

void DirectFile::write(Bytes at, std::span<const std::byte> data) {
  if (!is_aligned(at.count) || !is_aligned(data.data()) || !is_aligned(std::ssize(data)))
    throw std::invalid_argument("a direct write that is not of whole blocks");
  std::size_t done = 0;
  while (done < data.size()) {
    const ssize_t written =
        pwrite(descriptor_, data.data() + done, data.size() - done, at.count + static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      throw InputError(where_, "the experts cannot be written: " + text_of(written < 0 ? errno : ENOSPC),
                       "make room, or name a directory on another drive");
    }
    done += static_cast<std::size_t>(written);
  }
}

AlignedBuffer::AlignedBuffer(Bytes size)
    : size_(static_cast<std::size_t>(round_up(size.count))),
      data_(static_cast<std::byte*>(std::aligned_alloc(block, size_))) {
  if (!data_) throw std::bad_alloc();
  std::memset(data_.get(), 0, size_);
}

void AlignedBuffer::Free::operator()(std::byte* data) const { std::free(data); }

struct DirectReader::Ring {
  struct Request {
    std::int64_t at = 0, size = 0;  ///< what is still to come
    std::byte* to = nullptr;
  };
  io_uring ring = {};
  std::vector<Request> requests = std::vector<Request>(in_flight);
};

DirectReader::DirectReader(bool uses_io_uring, Answer answers)
    : answers_(std::move(answers)), buffer_(Bytes{piece}) {
  refusal_ = "not asked for";
  if (!uses_io_uring) return;
  auto ring = std::make_unique<Ring>();
  const int result = io_uring_queue_init(in_flight, &ring->ring, 0);
  if (result == 0) ring_ = std::move(ring);
  refusal_ = text_of(-result);
}

DirectReader::~DirectReader() {
  if (ring_) io_uring_queue_exit(&ring_->ring);
}

std::string DirectReader::method() const {
  return ring_ ? "io_uring" : "pread (no io_uring: " + refusal_ + ")";
}

void DirectReader::read(const DirectFile& file, Bytes at, std::span<std::byte> to) {
  const std::int64_t size = std::ssize(to);
  if (at.count < 0 || at.count > file.size().count - size) throw std::out_of_range("part of a direct file");
  std::int64_t done = 0;
  if (is_aligned(at.count) && is_aligned(to.data())) {
    done = size / block * block;
    read_blocks(file, at.count, to.data(), done);
  }
  while (done < size) {
    const std::int64_t begin = at.count + done, first_block = begin / block * block;
    const std::int64_t blocks = std::min(piece, round_up(begin + size - done - first_block));
    read_blocks(file, first_block, buffer_.span().data(), blocks);
    const std::int64_t got = std::min(size - done, first_block + blocks - begin);
    std::memcpy(to.data() + done, buffer_.span().data() + (begin - first_block),
                static_cast<std::size_t>(got));
    done += got;
  }
}

void DirectReader::read_blocks(const DirectFile& file, std::int64_t at, std::byte* to, std::int64_t size) {
  if (ring_) return read_in_flight(file, at, to, size);
  while (size > 0) {
    const std::int64_t bytes = std::min(size, piece);
    std::int64_t got = pread(file.descriptor(), to, static_cast<std::size_t>(bytes), at);
    if (got < 0) got = -errno;
    if (answers_) got = answers_(at, bytes, got);
    if (got == -EINTR) continue;
    if (got <= 0) fail(at, got < 0 ? text_of(static_cast<int>(-got)) : "the file ends there");
    at += got;
    to += got;
    size -= got;
  }
}

void DirectReader::read_in_flight(const DirectFile& file, std::int64_t at, std::byte* to, std::int64_t size) {
  io_uring& ring = ring_->ring;
  std::vector<Ring::Request>& requests = ring_->requests;
  std::string failure;
  std::int64_t failed_at = 0;
  unsigned flying = 0,
           unsubmitted = 0;  // requests that are out, and those of them that only stand in the queue
  const auto submit = [&](std::size_t slot) {
    const Ring::Request& request = requests[slot];
    io_uring_sqe* const entry = io_uring_get_sqe(&ring);  // there is one: no more than `in_flight` are out
    io_uring_prep_read(entry, file.descriptor(), request.to, static_cast<unsigned>(request.size),
                       static_cast<std::uint64_t>(request.at));
    io_uring_sqe_set_data64(entry, slot);
    ++flying;
    ++unsubmitted;
  };
  const auto next = [&](std::size_t slot) {
    if (size == 0 || !failure.empty()) return;
    const std::int64_t bytes = std::min(size, piece);
    requests[slot] = {at, bytes, to};
    at += bytes;
    to += bytes;
    size -= bytes;
    submit(slot);
  };
  for (std::size_t slot = 0; slot < in_flight; ++slot) next(slot);
  // After a failure what is out is waited for all the same: the kernel still writes to the memory.
  while (flying > 0) {
    const int submitted = io_uring_submit_and_wait(&ring, 1);
    if (submitted >= 0) unsubmitted -= std::min(unsubmitted, static_cast<unsigned>(submitted));
    const bool refused = submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY;
    if (refused && failure.empty()) {
      failure = "io_uring: " + text_of(-submitted);
      failed_at = at;
    }
    if (refused && flying == unsubmitted) break;  // nothing writes to the memory any more
    io_uring_cqe* entry = nullptr;
    while (io_uring_peek_cqe(&ring, &entry) == 0) {
      const auto slot = static_cast<std::size_t>(io_uring_cqe_get_data64(entry));
      std::int64_t result = entry->res;
      io_uring_cqe_seen(&ring, entry);
      --flying;
      Ring::Request& request = requests[slot];
      if (answers_) result = answers_(request.at, request.size, result);
      const bool again = result == -EINTR || result == -EAGAIN;
      if (!again && result <= 0) {
        failure = result < 0 ? text_of(static_cast<int>(-result)) : "the file ends there";
        failed_at = request.at;
        continue;
      }
      const std::int64_t got = again ? 0 : result;
      request.at += got;
      request.to += got;
      request.size -= got;
      if (request.size > 0 && failure.empty()) {
        submit(slot);
      } else {
        next(slot);
      }
    }
  }
  if (unsubmitted > 0) {  // they must not go out with a later read
    io_uring_queue_exit(&ring);
    ring_.reset();
    refusal_ = failure;
  }
  if (!failure.empty()) fail(failed_at, failure);
}

}  // namespace pregate::runtime
