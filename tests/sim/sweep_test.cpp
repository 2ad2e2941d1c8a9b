// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Axes, the points that they span, and the database of a sweep.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "models/error.hpp"
#include "sim/sweep/points.hpp"
#include "sim/sweep/store.hpp"

namespace pregate::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> values_of(const std::string& text) { return parse_axis(text, "--vary").values; }

std::string refusal(const std::string& text) {
  try {
    parse_axis(text, "--vary");
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Axis, IsLinearLogarithmicOrListed) {
  // (64 - 12) / 13 = 4.
  const std::vector<std::string> links = values_of("machine.link.h2d.bandwidth=12..64GB/s:14");
  ASSERT_EQ(links.size(), 14U);
  EXPECT_EQ(links[0], "12GB/s");
  EXPECT_EQ(links[1], "16GB/s");
  EXPECT_EQ(links[13], "64GB/s");
  EXPECT_THAT(values_of("policy.cache.capacity=5%..95%:4"), ElementsAre("5%", "35%", "65%", "95%"));
  EXPECT_THAT(values_of("k=1..100us:3log"), ElementsAre("1us", "10us", "100us"));
  EXPECT_THAT(values_of("k=0.1..0.3:3"), ElementsAre("0.1", "0.2", "0.3"));
  EXPECT_THAT(values_of("k=lru, belady,25%"), ElementsAre("lru", "belady", "25%"));
  EXPECT_THAT(values_of("k=../a.toml,b"), ElementsAre("../a.toml", "b"));
}

TEST(Axis, RefusesWhatIsNone) {
  for (const auto& [text, why] : {std::pair{"k", "not KEY=VALUES"},
                                  {"=1,2", "not KEY=VALUES"},
                                  {"k=", "empty value"},
                                  {"k=1,,2", "empty value"},
                                  {"k=1,1", "twice"},
                                  {"k=5..5:3", "empty"},
                                  {"k=9..5:3", "empty"},
                                  {"k=1..x:3", "number at both ends"},
                                  {"k=1GB..5GiB:3", "'GB' and 'GiB'"},
                                  {"k=1..5:0", "how many"},
                                  {"k=1..5:1", "how many"},
                                  {"k=1..5:-2", "how many"},
                                  {"k=1..5:9999999", "how many"},
                                  {"k=1..5:3lag", "how many"},
                                  {"k=0..5:3log", "begin above 0"},
                                  {"k=1..1.0000000000001:3", "twice"}}) {
    EXPECT_THAT(refusal(text), HasSubstr(why)) << text;
  }
}

TEST(Points, OfAGridFollowTheLastAxis) {
  const SweepPoints points({parse_axis("policy=a,b", "")}, {parse_axis("x=1..3:3", "")}, {});
  EXPECT_EQ(points.count(), 6);
  EXPECT_THAT(points.at(0), ElementsAre("a", "1"));
  EXPECT_THAT(points.at(1), ElementsAre("a", "2"));
  EXPECT_THAT(points.at(5), ElementsAre("b", "3"));
}

// Every stratum of an axis has one sample; each policy has the same samples; the seed decides.
TEST(Points, OfALatinHypercubeAreInEveryStratum) {
  const auto sample = [](std::uint64_t seed) {
    return SweepPoints({parse_axis("policy=a,b", "")}, {parse_axis("x=0..10", ""), parse_axis("y=p,q", "")},
                       parse_sampling("lhs:10", seed, ""));
  };
  const SweepPoints points = sample(7);
  ASSERT_EQ(points.count(), 20);
  std::set<int> strata;
  int p = 0;
  for (int i = 0; i < 10; ++i) {
    strata.insert(static_cast<int>(std::stod(points.at(i)[1])));
    p += points.at(i)[2] == "p" ? 1 : 0;
    EXPECT_EQ(points.at(i)[1], points.at(10 + i)[1]);
    EXPECT_EQ(points.at(i)[1], sample(7).at(i)[1]);
  }
  EXPECT_EQ(strata.size(), 10U);
  EXPECT_EQ(p, 5);
  EXPECT_NE(points.at(0)[1], sample(8).at(0)[1]);
}

// The first three points of the sequence in two dimensions behind the corner are known (Joe and Kuo): 1/2
// 1/2, 3/4 1/4, 1/4 3/4.
TEST(Points, OfASobolSequenceAreItsOwn) {
  const SweepPoints points({}, {parse_axis("x=0..8", ""), parse_axis("y=1..16:log", "")},
                           parse_sampling("sobol:3", 1, ""));
  EXPECT_THAT(points.at(0), ElementsAre("4", "4"));
  EXPECT_THAT(points.at(1), ElementsAre("6", "2"));
  EXPECT_THAT(points.at(2), ElementsAre("2", "8"));
}

TEST(Points, RefuseWhatSpansNoSpace) {
  const auto refuses = [](const std::vector<std::string>& axes, const std::string& sampling) {
    std::vector<Axis> varied;
    for (const std::string& text : axes) varied.push_back(parse_axis(text, "--vary"));
    EXPECT_THROW(SweepPoints({}, varied, parse_sampling(sampling, 1, "--sample")), InputError);
  };
  refuses({"x=1,2", "x=3,4"}, "grid");
  refuses({"x=1..2"}, "grid");
  refuses({}, "lhs:5");
  refuses({"x=1..2:1000", "y=1..2:1001"}, "grid");
  for (const char* sampling : {"lhs", "lhs:0", "lhs:x", "sobol:1000001", "halton:5", ""})
    EXPECT_THROW(parse_sampling(sampling, 1, "--sample"), InputError) << sampling;
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest()
      : folder_(std::filesystem::temp_directory_path() / ("pregate-sweep-" + std::to_string(getpid()))),
        path_((folder_ / "s.db").string()) {
    std::filesystem::create_directory(folder_);
  }
  ~StoreTest() override { std::filesystem::remove_all(folder_); }
  StoreTest(const StoreTest&) = delete;
  StoreTest& operator=(const StoreTest&) = delete;

  static PointRow row(std::int64_t point) {
    PointRow row;
    row.point = point;
    row.settings = "{}";
    row.policy = "p";
    row.status = "ok";
    row.figures = {1.5, std::int64_t{7}, {}, std::string("word")};
    return row;
  }
  std::filesystem::path folder_;
  std::string path_;
};

// What was committed is there when it is opened again, what was not is not, and columns keep their types.
TEST_F(StoreTest, GoesOnWhereItWasLeft) {
  {
    SweepStore store(path_, "plan", 3);
    store.add_configuration(0, "{}");
    store.add(row(2));
    store.commit();
    store.add(row(0));
  }
  SweepStore store(path_, "plan", 3);
  EXPECT_THAT(store.done(), ElementsAre(0, 0, 1));
  EXPECT_TRUE(store.has_configuration(0));
  store.add(row(1));
  std::vector<std::int64_t> points;
  store.for_each([&](const PointRow& each, const std::string& configuration) {
    points.push_back(each.point);
    EXPECT_EQ(configuration, "{}");
    EXPECT_EQ(each.figures[0], MetricValue(1.5));
    EXPECT_EQ(each.figures[1], MetricValue(std::int64_t{7}));
    EXPECT_EQ(each.figures[2], MetricValue());
    EXPECT_EQ(each.figures[3], MetricValue("word"));
  });
  EXPECT_THAT(points, ElementsAre(1, 2));
}

TEST_F(StoreTest, IsOneSweepsAlone) {
  const SweepStore store(path_, "plan", 3);
  EXPECT_THROW(SweepStore(path_, "plan", 3), InputError) << "another has it open";
}

TEST_F(StoreTest, RefusesAnotherPlanAndOtherFiles) {
  { const SweepStore store(path_, "plan", 3); }
  EXPECT_THROW(SweepStore(path_, "another", 3), InputError);
  EXPECT_THROW(SweepStore(folder_.string(), "plan", 3), InputError);
  EXPECT_THROW(SweepStore("/dev/null", "plan", 3), InputError);
  EXPECT_THROW(SweepStore((folder_ / "none" / "s.db").string(), "plan", 3), InputError);
}

}  // namespace
}  // namespace pregate::sim
