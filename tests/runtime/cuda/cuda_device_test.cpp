// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "models/error.hpp"

namespace pregate::runtime {
namespace {

TEST(CudaDevice, SaysWhatItIs) {
  const auto device = open_device("cuda", {});
  const DeviceInfo& info = device->info();
  EXPECT_EQ(info.kind, "cuda");
  EXPECT_FALSE(info.name.empty());
  EXPECT_THAT(info.software, testing::HasSubstr("driver"));
  EXPECT_GT(info.compute_units, 0);
  EXPECT_GT(info.memory.count, 0);
  EXPECT_THAT(info.types, testing::ElementsAre(ElementType::f32, ElementType::f16, ElementType::bf16));
}

TEST(CudaDevice, CopiesInOrderAndAcrossStreams) {
  const auto device = open_device("cuda", {.memory = {1 << 26}});
  const auto copy = device->make_stream("h2d"), compute = device->make_stream("compute");
  const Bytes size{1 << 16};
  const PageLockedMemory from = device->allocate_page_locked(size, "test"),
                         to = device->allocate_page_locked(size, "test");
  const DeviceMemory there = device->allocate(size, "test"), again = device->allocate(size, "test");
  const auto event = device->make_event();
  for (int round = 0; round < 10; ++round) {
    std::memset(from.span().data(), round, static_cast<std::size_t>(size.count));
    copy->copy_to_device(there.span(), from.span());
    copy->record(*event);
    compute->wait(*event);
    compute->copy_on_device(again.span(), there.span());
    compute->copy_to_host(to.span(), again.span());
    compute->synchronize();
    EXPECT_EQ(std::memcmp(from.span().data(), to.span().data(), static_cast<std::size_t>(size.count)), 0);
  }
  compute->fill_zero(again.span().part({100}, {1}));
  compute->copy_to_host(to.span(), again.span());
  compute->synchronize();
  EXPECT_EQ(to.span().data()[100], std::byte{0});
  EXPECT_EQ(to.span().data()[99], std::byte{9});
  EXPECT_EQ(to.span().data()[101], std::byte{9});
}

TEST(CudaDevice, AnEventIsItsLatestRecord) {
  const auto device = open_device("cuda", {});
  const auto stream = device->make_stream("compute");
  const auto first = device->make_event(), second = device->make_event();
  EXPECT_TRUE(device->is_done(*first));
  EXPECT_NO_THROW(device->synchronize(*first));
  EXPECT_THROW(stream->wait(*first), std::logic_error);
  EXPECT_THROW(std::ignore = device->elapsed(*first, *second), std::logic_error);
  const DeviceMemory memory = device->allocate({1 << 24}, "test");
  for (int round = 0; round < 3; ++round) {
    stream->record(*first);
    stream->fill_zero(memory.span());
    stream->record(*second);
    device->synchronize(*second);
    EXPECT_TRUE(device->is_done(*first));
    EXPECT_TRUE(device->is_done(*second));
    EXPECT_GT(device->elapsed(*first, *second).count, 0);
    EXPECT_EQ(device->elapsed(*first, *first).count, 0);
  }
}

TEST(CudaDevice, MemoryIsABudget) {
  const auto device = open_device("cuda", {.memory = {1000}});
  {
    const DeviceMemory half = device->allocate({600}, "half");
    try {
      const DeviceMemory more = device->allocate({401}, "expert slots");
      FAIL() << "the budget was not kept";
    } catch (const OutOfMemory& error) {
      EXPECT_STREQ(error.what(), "expert slots needs 401 B, but only 400 B are free");
    }
    EXPECT_NO_THROW(device->allocate({400}, "exactly the rest"));
    EXPECT_EQ(device->allocate({0}, "nothing").size().count, 0);
  }
  const DeviceMemory all = device->allocate({1000}, "all of it, given back");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(all.span().data()) % 256, 0U);
  EXPECT_THROW(open_device("cuda", {.memory = {std::int64_t{1} << 50}}), InputError);
}

// More than the host has is refused before it is asked for.
TEST(CudaDevice, PageLockedMemoryRunsOut) {
  const auto device = open_device("cuda", {});
  try {
    const PageLockedMemory memory = device->allocate_page_locked({std::int64_t{1} << 50}, "experts");
    FAIL() << "a petabyte was page-locked";
  } catch (const OutOfMemory& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("experts in page-locked host memory needs"));
  }
}

TEST(CudaDevice, ArgumentsThatDoNotFitAreRefused) {
  const auto device = open_device("cuda", {});
  const auto stream = device->make_stream("h2d");
  const PageLockedMemory from = device->allocate_page_locked({256}, "test");
  const DeviceMemory to = device->allocate({128}, "test");
  EXPECT_THROW(stream->copy_to_device(to.span(), from.span()), std::invalid_argument);
  EXPECT_THROW(stream->copy_to_host(from.span(), to.span()), std::invalid_argument);
  EXPECT_THROW(stream->launch(kernels::RmsNormArgs<float>{.rows = 1, .width = 0}), std::invalid_argument);
  EXPECT_NO_THROW(stream->synchronize());
}

// Memory that operations still use may be given back, as happens when an error ends a run.
TEST(CudaDevice, MemoryOutlivesItsOperations) {
  const auto device = open_device("cuda", {});
  const auto stream = device->make_stream("h2d");
  const PageLockedMemory to = device->allocate_page_locked({1 << 20}, "test");
  {
    const PageLockedMemory from = device->allocate_page_locked({1 << 20}, "test");
    const DeviceMemory there = device->allocate({1 << 20}, "test");
    std::memset(from.span().data(), 7, 1 << 20);
    stream->copy_to_device(there.span(), from.span());
    stream->copy_to_host(to.span(), there.span());
  }
  EXPECT_EQ(to.span().data()[(1 << 20) - 1], std::byte{7});
}

}  // namespace
}  // namespace pregate::runtime
