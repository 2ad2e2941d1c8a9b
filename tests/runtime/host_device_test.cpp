// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

#include "models/error.hpp"
#include "runtime/device.hpp"
#include "runtime/host/system_memory.hpp"

namespace pregate::runtime {
namespace {

TEST(HostDevice, CopiesInOrderAndAcrossStreams) {
  const auto device = open_device("host", {.memory = {1 << 26}});
  const auto copy = device->make_stream("h2d"), compute = device->make_stream("compute");
  const Bytes size{1 << 20};
  const PageLockedMemory from = device->allocate_page_locked(size, "test"),
                         to = device->allocate_page_locked(size, "test");
  const DeviceMemory there = device->allocate(size, "test"), again = device->allocate(size, "test");
  const auto event = device->make_event();
  for (int round = 0; round < 50; ++round) {
    std::memset(from.span().data(), round, static_cast<std::size_t>(size.count));
    copy->copy_to_device(there.span(), from.span());
    copy->record(*event);
    compute->wait(*event);  // without it the next copy would be free to read what was there before
    compute->copy_on_device(again.span(), there.span());
    compute->copy_to_host(to.span(), again.span());
    compute->synchronize();
    EXPECT_EQ(std::memcmp(from.span().data(), to.span().data(), static_cast<std::size_t>(size.count)), 0);
  }
}

TEST(HostDevice, AnEventIsItsLatestRecord) {
  const auto device = open_device("host", {});
  const auto stream = device->make_stream("compute");
  const auto first = device->make_event(), second = device->make_event();
  EXPECT_TRUE(device->is_done(*first));  // never recorded, as in CUDA
  EXPECT_THROW(stream->wait(*first), std::logic_error);
  const DeviceMemory memory = device->allocate({1 << 24}, "test");
  stream->record(*first);
  stream->fill_zero(memory.span());
  stream->record(*second);
  device->synchronize(*second);
  EXPECT_TRUE(device->is_done(*first));
  EXPECT_GT(device->elapsed(*first, *second).count, 0);
  EXPECT_EQ(device->elapsed(*first, *first).count, 0);
}

TEST(HostDevice, MemoryIsABudget) {
  const auto device = open_device("host", {.memory = {1000}});
  {
    const DeviceMemory half = device->allocate({600}, "half");
    try {
      const DeviceMemory more = device->allocate({401}, "expert slots");
      FAIL() << "the budget was not kept";
    } catch (const OutOfMemory& error) {
      EXPECT_STREQ(error.what(), "expert slots needs 401 B, but only 400 B are free");
    }
    EXPECT_NO_THROW(device->allocate({400}, "exactly the rest"));
  }
  EXPECT_NO_THROW(device->allocate({1000}, "all of it, given back"));
  EXPECT_THROW(open_device("host", {.memory = system_memory().total * 2}), InputError);
  EXPECT_THROW(open_device("tpu", {}), InputError);
}

TEST(HostDevice, MemoryMovesAndPartsStayInside) {
  const auto device = open_device("host", {.memory = {4096}});
  DeviceMemory a = device->allocate({256}, "test");
  std::byte* const data = a.span().data();
  DeviceMemory b = std::move(a);
  EXPECT_EQ(b.span().data(), data);
  EXPECT_EQ(a.size().count, 0);  // NOLINT(bugprone-use-after-move): says what a moved-from one is
  EXPECT_EQ(b.span().part({256}, {0}).size().count, 0);
  EXPECT_THROW(std::ignore = b.span().part({255}, {2}), std::out_of_range);
  EXPECT_THROW(std::ignore = b.span().part({-1}, {1}), std::out_of_range);
  b = device->allocate({4096 - 256}, "the rest, beside the first");
  EXPECT_NO_THROW(device->allocate({256}, "the first, given back"));
}

TEST(HostDevice, MultipliesByTheTransposed) {
  const auto device = open_device("host", {});
  const auto stream = device->make_stream("compute");
  for (const int rows : {1, 3}) {
    const float a[] = {1, 2, 3, 4, 5, 6};        // rows x 2
    const float b[] = {1, 10, 100, 1000, 1, 1};  // 3 x 2
    float c[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    stream->gemm({.rows = rows, .columns = 3, .inner = 2, .a = a, .b = b, .c = c, .beta = 2});
    stream->synchronize();
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < 3; ++j)
        EXPECT_EQ(c[i * 3 + j], 2 + a[i * 2] * b[j * 2] + a[i * 2 + 1] * b[j * 2 + 1]);
    }
  }
  EXPECT_THROW(stream->gemm({.rows = 1, .columns = 1, .inner = 1, .type = ElementType::f16}),
               std::invalid_argument);
}

// A kernel that refuses its arguments fails when the host waits, once, and nobody hangs on its events.
TEST(HostDevice, AFailureIsThrownByTheNextWait) {
  const auto device = open_device("host", {});
  const auto stream = device->make_stream("compute"), other = device->make_stream("h2d");
  stream->launch(kernels::RmsNormArgs<float>{.rows = 1, .width = 0});
  const auto event = device->make_event();
  stream->record(*event);
  other->wait(*event);
  other->synchronize();
  EXPECT_THROW(stream->synchronize(), std::invalid_argument);
}

// Work of the host has its turn in the stream, and what it throws is thrown by who waits.
TEST(HostDevice, CallsTheHostInOrder) {
  const auto device = open_device("host", {});
  const auto stream = device->make_stream("cpu"), other = device->make_stream("h2d");
  const PageLockedMemory from = device->allocate_page_locked({256}, "test");
  const DeviceMemory to = device->allocate({256}, "test");
  const auto written = device->make_event();
  stream->call([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::memset(from.span().data(), 7, 256);
  });
  stream->record(*written);
  other->wait(*written);
  other->copy_to_device(to.span(), from.span());
  other->synchronize();
  EXPECT_EQ(std::to_integer<int>(to.span().data()[255]), 7);
  stream->call([] { throw std::runtime_error("the host failed"); });
  EXPECT_THROW(stream->synchronize(), std::runtime_error);
}

TEST(HostDevice, CoresForTheCpuAreThereOrRefused) {
  EXPECT_THROW(open_device("host", {.memory = {}, .compute_threads = 0, .cpu_threads = 4096}), InputError);
  EXPECT_FALSE(open_device("host", {})->info().cpu_cores.empty());
}

TEST(HostDevice, DifferentSizesDoNotCopy) {
  const auto device = open_device("host", {});
  const auto stream = device->make_stream("h2d");
  const PageLockedMemory from = device->allocate_page_locked({256}, "test");
  const DeviceMemory to = device->allocate({128}, "test");
  EXPECT_THROW(stream->copy_to_device(to.span(), from.span()), std::invalid_argument);
}

}  // namespace
}  // namespace pregate::runtime
