// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <vector>

#include "kernels/cuda.hpp"
#include "kernels/reference.hpp"
#include "tests/kernels/cuda_test_support.hpp"
#include "tests/kernels/device_array.hpp"
#include "tests/kernels/random_rows.hpp"

namespace pregate::kernels {
namespace {

/// `shift` 1 takes the ids off their alignment, which chooses the kernels that load one at a time.
void expect_as_reference(const std::vector<std::int32_t>& ids, std::int32_t experts) {
  for (const std::size_t shift : {0U, 1U}) {
    SCOPED_TRACE(testing::Message() << ids.size() << " pairs, " << experts << " experts, shift " << shift);
    const auto pairs = static_cast<std::int32_t>(ids.size());
    const auto expert_count = static_cast<std::size_t>(experts);
    DeviceArray<std::int32_t> device_ids(ids, shift);
    DeviceArray<std::int32_t> counts(expert_count), offsets(expert_count + 1), positions(ids.size()),
        sources(ids.size());
    // Starts as what the device's arrays start as, so that what must stay is compared too.
    std::vector<std::int32_t> expected_counts(expert_count), expected_offsets(expert_count + 1);
    std::vector<std::int32_t> expected_positions(ids.size()), expected_sources(ids.size(), 0x5a5a5a5a);
    reference::order({ids.data(), expected_counts.data(), expected_offsets.data(), expected_positions.data(),
                      expected_sources.data(), pairs, experts});
    cuda::order(
        {device_ids.data(), counts.data(), offsets.data(), positions.data(), sources.data(), pairs, experts},
        nullptr);
    EXPECT_EQ(counts.values(), expected_counts);
    EXPECT_EQ(offsets.values(), expected_offsets);
    EXPECT_EQ(positions.values(), expected_positions);
    EXPECT_EQ(sources.values(), expected_sources);
  }
}

// 256 and 1024 pairs are one round of a block in either kernel.
TEST(CudaOrder, RandomIds) {
  std::uint32_t seed = 1;
  for (const std::int32_t experts : {1, 8, 31})
    for (const std::size_t pairs : sizes<std::size_t>({1, 6, 255, 257, 1029}, {32768, 65537}))
      expect_as_reference(random_ids(pairs, experts, seed++), experts);
}

TEST(CudaOrder, MoreExpertsThanPairs) {
  expect_as_reference(random_ids(9, 300, 3), 300);  // more than a block's threads
  if (with_large_sizes()) expect_as_reference(random_ids(9, max_experts, 3), max_experts);
}

TEST(CudaOrder, AllToOneAndNoneAtAll) {
  expect_as_reference(std::vector<std::int32_t>(700, 2), 3);
  expect_as_reference(std::vector<std::int32_t>(700, 0), 3);
  expect_as_reference({}, 5);
}

TEST(CudaOrder, ForeignIdsDropTheirPair) {
  std::vector<std::int32_t> ids = random_ids(333, 6, 4);
  for (std::size_t i = 0; i < ids.size(); i += 5) ids[i] = i % 2 == 0 ? -1 : 6;
  ids[7] = std::numeric_limits<std::int32_t>::min();
  ids[8] = std::numeric_limits<std::int32_t>::max();
  expect_as_reference(ids, 6);
  expect_as_reference(std::vector<std::int32_t>(50, -1), 4);
}

}  // namespace
}  // namespace pregate::kernels
