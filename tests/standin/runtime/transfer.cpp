// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/transfer.hpp"

#include <cstring>
#include <memory>
#include <vector>

#include "tests/standin/runtime/pointers.hpp"

namespace pregate::standin {
namespace {

/// One end of a copy.
struct End {
  std::uintptr_t address = 0;
  bool on_device = false;
  int device = 0;  ///< whose memory it is, where it is on one
  bool page_locked = false;
};

/// Reports and gives false when the end is device memory that is not wholly alive.
bool look_at(Runtime& runtime, const void* pointer, std::size_t size, const std::string& who, End& end) {
  end.address = address_of(pointer);
  const auto found = runtime.memory.find(end.address);
  end.on_device = runtime.memory.is_device_address(end.address);
  if (found) end.device = found->device;
  end.page_locked = runtime.memory.is_page_locked(end.address, size);
  if (!end.on_device) {
    if (!found || end.page_locked || found->kind == MemoryKind::registered) return true;
    // A dead pinned block, or one that the copy runs out of.
    runtime.reports.add(found->live ? "bounds" : "freed",
                        who + ": " + std::to_string(size) + " bytes at " + described(*found, end.address));
    return false;
  }
  if (!found) {
    runtime.reports.add("bounds", who + ": device address that belongs to no allocation");
    return false;
  }
  const bool inside =
      end.address - found->address <= found->size && size <= found->size - (end.address - found->address);
  if (found->live && inside) return true;
  runtime.reports.add(found->live ? "bounds" : "freed",
                      who + ": " + std::to_string(size) + " bytes at " + described(*found, end.address));
  return false;
}

OperationKind kind_of(const End& to, const End& from) {
  if (to.on_device && from.on_device)
    return to.device == from.device ? OperationKind::device_to_device : OperationKind::peer;
  if (to.on_device) return OperationKind::host_to_device;
  return OperationKind::device_to_host;
}

bool agrees(cudaMemcpyKind asked, const End& to, const End& from) {
  switch (asked) {
    case cudaMemcpyHostToDevice:
      return to.on_device && !from.on_device;
    case cudaMemcpyDeviceToHost:
      return !to.on_device && from.on_device;
    case cudaMemcpyDeviceToDevice:
      return to.on_device && from.on_device;
    case cudaMemcpyHostToHost:
      return !to.on_device && !from.on_device;
    default:
      return true;
  }
}

/// The bytes behind an end when the copy runs; memory may have been freed since it was queued.
std::byte* bytes_of(Runtime& runtime, const End& end, std::size_t size, bool write, const std::string& who) {
  if (!end.on_device && !end.page_locked) return pointer_to(end.address);
  const ptx::Resolved resolved = runtime.memory.resolve(end.address, size, write);
  if (!resolved.problem.empty()) {
    runtime.reports.add(resolved.kind, who + (write ? ": write to " : ": read of ") + resolved.problem);
  }
  if (resolved.data == nullptr) throw ptx::KernelFault();
  return resolved.data;
}

}  // namespace

cudaError_t queue_transfer(Runtime& runtime, const Transfer& transfer, CUstream_st* stream, bool asynchronous,
                           const char* who) {
  if (transfer.size == 0) return cudaSuccess;
  if (transfer.to == nullptr || transfer.from == nullptr) return cudaErrorInvalidValue;
  End to;
  End from;
  const std::size_t size = transfer.size;
  if (!look_at(runtime, transfer.to, size, who, to) || !look_at(runtime, transfer.from, size, who, from)) {
    return cudaErrorInvalidValue;
  }
  if (!agrees(transfer.kind, to, from)) {
    runtime.reports.add("direction", std::string(who) + ": the pointers are not what the kind of copy says");
    return cudaErrorInvalidValue;
  }
  const bool pageable = (!to.on_device && !to.page_locked) || (!from.on_device && !from.page_locked);
  if (asynchronous && pageable) {
    runtime.reports.add("pageable",
                        std::string(who) + " with pageable host memory: the copy is not asynchronous");
  }
  Request request;
  request.kind = kind_of(to, from);
  request.name = who;
  request.bytes = size;
  request.duration_us = runtime.engine.timeline().copy_duration_us(request.kind, size);
  request.ranges = {{to.address, to.address + size, true}};
  std::shared_ptr<std::vector<std::byte>> staged;
  if (!from.on_device && !from.page_locked) {
    const std::byte* source = pointer_to(from.address);
    staged = std::make_shared<std::vector<std::byte>>(source, source + size);
  } else {
    request.ranges.push_back({from.address, from.address + size, false});
  }
  request.work = [&runtime, to, from, size, staged, name = std::string(who)]() -> std::vector<Range> {
    const std::byte* source = staged ? staged->data() : bytes_of(runtime, from, size, /*write=*/false, name);
    std::memmove(bytes_of(runtime, to, size, /*write=*/true, name), source, size);
    return {};
  };
  const OperationPointer operation = runtime.engine.submit(stream, std::move(request));
  const bool outlives_call = asynchronous || staged || (to.on_device && from.on_device);
  if (!outlives_call) runtime.engine.wait(operation);
  return cudaSuccess;
}

cudaError_t queue_fill(Runtime& runtime, void* to, int value, std::size_t size, CUstream_st* stream,
                       const char* who) {
  if (size == 0) return cudaSuccess;
  End end;
  if (!look_at(runtime, to, size, who, end) || (!end.on_device && !end.page_locked))
    return cudaErrorInvalidValue;
  Request request;
  request.kind = OperationKind::fill;
  request.name = who;
  request.bytes = size;
  request.duration_us = runtime.engine.timeline().copy_duration_us(request.kind, size);
  request.ranges = {{end.address, end.address + size, true}};
  request.work = [&runtime, end, size, value, name = std::string(who)]() -> std::vector<Range> {
    std::memset(bytes_of(runtime, end, size, /*write=*/true, name), value, size);
    return {};
  };
  runtime.engine.submit(stream, std::move(request));
  return cudaSuccess;
}

}  // namespace pregate::standin
