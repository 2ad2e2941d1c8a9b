// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/units.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

TEST(Units, DecimalAndBinaryPrefixesAreDistinct) {
  EXPECT_EQ(parse_bytes("4GiB", "x").count, 4LL * 1024 * 1024 * 1024);
  EXPECT_EQ(parse_bytes("4 GB", "x").count, 4'000'000'000);
  EXPECT_EQ(parse_bytes("1.5KiB", "x").count, 1536);
  EXPECT_EQ(parse_bytes("0 B", "x").count, 0);
  EXPECT_DOUBLE_EQ(parse_bytes_per_second("25GB/s", "x").value, 25e9);
  EXPECT_DOUBLE_EQ(parse_bytes_per_second("23.3GiB/s", "x").value, 23.3 * 1073741824.0);
  EXPECT_DOUBLE_EQ(parse_flop_per_second("19.5 TFLOP/s", "x").value, 19.5e12);
  EXPECT_DOUBLE_EQ(parse_flop_per_second("312TFLOPS", "x").value, 312e12);
}

TEST(Units, DurationsAreWholePicoseconds) {
  EXPECT_EQ(parse_duration("10us", "x").count, 10'000'000);
  EXPECT_EQ(parse_duration("10 \u00b5s", "x").count, 10'000'000);
  EXPECT_EQ(parse_duration("0.04 ms", "x").count, 40'000'000);
  EXPECT_EQ(parse_duration("250ns", "x").count, 250'000);
  EXPECT_EQ(parse_duration("1s", "x").count, 1'000'000'000'000);
}

// 18,874,368 B / 25 GB/s is a whole number of picoseconds; one byte at 3 B/s is not and is rounded up.
TEST(Units, TimeAtIsTheSmallestWholeNumberOfPicoseconds) {
  EXPECT_EQ(time_at({18'874'368}, {25e9}).count, 754'974'720);
  EXPECT_EQ(time_at({1}, {3}).count, 333'333'333'334);
  EXPECT_EQ(time_at({0}, {25e9}).count, 0);
  // 64 GiB at 25 GB/s: beyond the 53 bits of a double's product.
  EXPECT_EQ(time_at({(1LL << 36) + 1}, {25e9}).count, 2'748'779'069'480);
  EXPECT_GT(time_at({INT64_MAX}, {1}).count, 0);  // saturates, never wraps
  EXPECT_EQ(from_seconds(1e-6).count, 1'000'000);
  EXPECT_GT(from_seconds(1e30).count, 0);
}

TEST(Units, AnErrorNamesTheProblemAndTheUnitsAccepted) {
  const auto rate = [](const char* text) {
    return error_of([&] { parse_bytes_per_second(text, "--set machine.link.h2d.bandwidth"); });
  };
  EXPECT_THAT(rate("50"),
              AllOf(HasSubstr("--set machine.link.h2d.bandwidth: '50' has no unit"), HasSubstr("GiB/s")));
  EXPECT_THAT(rate("50GB"), HasSubstr("is a size, not a transfer rate"));
  EXPECT_THAT(rate("50 Gb/s"), HasSubstr("unknown unit 'Gb/s'"));
  EXPECT_THAT(rate("0 GB/s"), HasSubstr("must be above zero"));
  EXPECT_THAT(rate("-1 GB/s"), HasSubstr("negative"));
  EXPECT_THAT(rate("nan GB/s"), HasSubstr("not a finite number"));
  EXPECT_THAT(rate("inf GB/s"), HasSubstr("not a finite number"));
  EXPECT_THAT(rate("1e400 GB/s"), HasSubstr("out of range"));
  EXPECT_THAT(rate("1e300 GB/s"), HasSubstr("absurdly large"));
  EXPECT_THAT(rate(""), HasSubstr("is not a transfer rate"));
  EXPECT_THAT(rate("25 GB/s x"), HasSubstr("unknown unit"));
  EXPECT_THAT(error_of([] { parse_bytes("0.2 B", "x"); }), HasSubstr("less than a byte"));
  EXPECT_THAT(error_of([] { parse_duration("3 h", "x"); }), HasSubstr("unknown unit 'h'"));
}

TEST(Units, PeopleReadThreeDigits) {
  EXPECT_EQ(to_string(Bytes{4LL << 30}), "4 GiB");
  EXPECT_EQ(to_string(Bytes{18'874'368}), "18 MiB");
  EXPECT_EQ(to_string(Bytes{1'023}), "1023 B");
  EXPECT_EQ(to_string(Bytes{1024 * 1024 - 1}), "1 MiB");  // not "1024 KiB"
  EXPECT_EQ(to_string(BytesPerSecond{25e9}), "25 GB/s");
  EXPECT_EQ(to_string(BytesPerSecond{999.9e6}), "1 GB/s");
  EXPECT_EQ(to_string(Picoseconds{1'130'000'000}), "1.13 ms");
  EXPECT_EQ(to_string(Picoseconds{40'000'000}), "40 us");
  EXPECT_EQ(to_string(Picoseconds{-40'000'000}), "-40 us");
  EXPECT_EQ(to_string(Picoseconds{}), "0 ps");
}

}  // namespace
}  // namespace pregate
