// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// How wide a range is, by whose errors: the formula on made-up rows.
#include "validation/published/confidence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "validation/published/mechanism.hpp"
#include "validation/published/nearest.hpp"

namespace pregate::validation {
namespace {

using sim::Confidence;
using ::testing::HasSubstr;
using ::testing::Not;
using Label = Confidence::Label;

Residual row(const std::string& name, double percent, const std::string& mechanism = "pre-gated",
             Basis basis = Basis::datasheet) {
  Residual residual;
  residual.published_case = name;
  residual.basis = basis;
  residual.gpu = "G";
  residual.model = "m";
  residual.mechanism = mechanism;
  residual.percent = percent;
  return residual;
}

Confidence nearest(const std::vector<Residual>& residuals, const Nearness& wanted, double spread = 0) {
  Confidence confidence;
  hold_against_nearest(wanted, residuals, spread, confidence);
  return confidence;
}

const Nearness this_one{Basis::datasheet, "G", "m", "pre-gated"};

// 5 rows from -20 % to +25 %, i.e. from a factor 1 / 1.25 to 1.25: widened by 6 / 4 to 1.25^1.5 either way.
TEST(Confidence, RangeIsThatOfTheErrorsWidenedForFewRows) {
  std::vector<Residual> residuals = {row("a", -20), row("a", 3), row("a", 25), row("a", 0), row("a", 1)};
  const Confidence five = nearest(residuals, this_one);
  EXPECT_EQ(five.rows, 5);
  EXPECT_EQ(five.least_percent, -20);
  EXPECT_EQ(five.most_percent, 25);
  EXPECT_NEAR(five.range_of(100).least, 100 / std::pow(1.25, 1.5), 1e-9);
  EXPECT_NEAR(five.range_of(100).most, 100 * std::pow(1.25, 1.5), 1e-9);
  // A spread of 10 % between repeats is a factor 1.1 more, either way.
  const Confidence noisy = nearest(residuals, this_one, 0.1);
  EXPECT_NEAR(noisy.range_of(100).least, five.range_of(100).least / 1.1, 1e-9);
  EXPECT_NEAR(noisy.range_of(100).most, five.range_of(100).most * 1.1, 1e-9);
}

TEST(Confidence, SimulatedRateIsInsideEvenWhereAllErrorsHaveOneSign) {
  std::vector<Residual> high, low;
  for (const double percent : {50.0, 51.0, 52.0, 53.0, 54.0}) {
    high.push_back(row("a", percent));
    low.push_back(row("a", -percent));
  }
  EXPECT_EQ(nearest(high, this_one).range_of(100).most, 100);
  EXPECT_LT(nearest(high, this_one).range_of(100).least, 100 / 1.54);
  EXPECT_EQ(nearest(low, this_one).range_of(100).least, 100);
  EXPECT_GT(nearest(low, this_one).range_of(100).most, 100 / 0.46);
}

TEST(Confidence, NearestGroupThatIsLargeEnoughIsTaken) {
  const std::vector<Residual> four = {row("a", 1), row("a", 2), row("a", 3), row("a", 4)};
  const auto with = [&](const std::vector<Residual>& more) {
    std::vector<Residual> all = four;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const Residual elsewhere = [] {
    Residual other = row("b", 9);
    other.gpu = "H";
    other.model = "n";
    return other;
  }();
  EXPECT_EQ(nearest(with({row("a", 5)}), this_one).nearest, "this GPU and mechanism");
  EXPECT_EQ(nearest(with({elsewhere}), this_one).nearest, "this mechanism") << "four rows are too few";
  EXPECT_EQ(nearest(with({row("b", 9, "pre-gated, cached")}), this_one).nearest, "this design");
  EXPECT_EQ(nearest(with({row("b", 9, "gpu-only")}), this_one).nearest, "any mechanism");
  // Rows of one case share its software: for another model or GPU they are not enough, however many.
  const std::vector<Residual> one_case = with({row("a", 5), row("a", 6), row("b", -7, "gpu-only")});
  EXPECT_EQ(nearest(one_case, this_one).rows, 6);
  for (const Nearness& other : {Nearness{Basis::datasheet, "H", "m", "pre-gated"},
                                Nearness{Basis::datasheet, "G", "n", "pre-gated"}}) {
    const Confidence all = nearest(one_case, other);
    EXPECT_EQ(all.nearest, "any mechanism");
    EXPECT_EQ(all.rows, 7);
    EXPECT_EQ(all.least_percent, -7);
    EXPECT_EQ(all.cases, "a, b");
  }
  // What was calibrated says nothing about a datasheet.
  EXPECT_THROW(nearest({row("a", 1, "pre-gated", Basis::calibrated)}, this_one), InputError);
}

// Five rows of two cases on GPUs of one architecture come before those on any GPU; rows predicted with other
// software do not count while there are enough with the same.
TEST(Confidence, KinAndSoftwareComeFirst) {
  std::vector<Residual> rows;
  for (int i = 0; i < 5; ++i) {
    Residual kin = row(i < 2 ? "a" : "b", i);
    kin.gpu = "H";
    kin.architecture = "ada";
    Residual other = row("c", 50);
    other.gpu = "I";
    other.architecture = "volta";
    Residual with_software = row(i < 2 ? "d" : "e", -10 - i, "on-demand");
    with_software.software = "s";
    rows.insert(rows.end(), {kin, other, with_software});
  }
  Nearness wanted{Basis::datasheet, "G", "n", "pre-gated", "", "ada"};
  EXPECT_EQ(nearest(rows, wanted).nearest, "this mechanism on GPUs of this architecture");
  EXPECT_EQ(nearest(rows, wanted).most_percent, 4);
  wanted.architecture = "other";
  EXPECT_EQ(nearest(rows, wanted).nearest, "this mechanism");
  EXPECT_EQ(nearest(rows, wanted).most_percent, 50);
  wanted.software = "s";
  EXPECT_EQ(nearest(rows, wanted).nearest, "any mechanism with this software");
  EXPECT_EQ(nearest(rows, wanted).least_percent, -14);
  wanted.mechanism = "on-demand";
  EXPECT_EQ(nearest(rows, wanted).nearest, "this GPU and mechanism with this software");
  wanted.software = "t";
  EXPECT_EQ(nearest(rows, wanted).rows, 5) << "nobody was predicted with it: all rows of the mechanism";
}

// Of 9 the largest (rank 9), of 19 the second (rank 18), of 20 the second (rank 19): nine of ten more are
// inside.
TEST(Confidence, WideningIsThatOfRankNineTenths) {
  std::vector<double> needed;
  const auto up_to = [&](int n) {
    needed.clear();
    for (int i = 1; i <= n; ++i) needed.push_back(n + 1 - i);
    return widening_for(needed);
  };
  EXPECT_EQ(widening_for({}), 0);
  EXPECT_EQ(up_to(3), 3);
  EXPECT_EQ(up_to(9), 9);
  EXPECT_EQ(up_to(19), 18);
  EXPECT_EQ(up_to(20), 19);
}

// A rate with prefill and decode's differ; the same errors hold for both, about each its own.
TEST(Confidence, EveryRateHasItsOwnRange) {
  const Confidence five =
      nearest({row("a", -20), row("a", 3), row("a", 25), row("a", 0), row("a", 1)}, this_one);
  for (const double rate : {12.0, 13.4}) {
    EXPECT_NEAR(five.range_of(rate).least, rate / std::pow(1.25, 1.5), 1e-9);
    EXPECT_NEAR(five.range_of(rate).most, rate * std::pow(1.25, 1.5), 1e-9);
  }
}

TEST(Confidence, WithoutOutputTokensThereIsNoRange) {
  const std::vector<Residual> five = {row("a", 1), row("a", 2), row("a", 3), row("a", 4), row("a", 5)};
  for (const double rate : {0.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_FALSE(nearest(five, this_one).range_of(rate).exists());
    EXPECT_EQ(nearest(five, this_one).rows, 5);
  }
}

TEST(Confidence, MechanismIsWhatPricesARun) {
  const auto of = [](const std::string& name, std::vector<Override> set = {}) {
    return mechanism_of(load_policy(name, set));
  };
  EXPECT_EQ(of("gpu-only"), "gpu-only");
  EXPECT_EQ(of("on-demand"), "on-demand");
  EXPECT_EQ(of("prefetch-all-cache"), "prefetch-all, cached");
  EXPECT_EQ(of("pre-gated-cache", {{"policy.cache.capacity", "0"}}), "pre-gated");
  EXPECT_EQ(of("pre-gated", {{"policy.lookahead.distance", "2"}}), "pre-gated, 2 layers ahead");
  EXPECT_EQ(of("on-demand-cache", {{"policy.transfer.write_back", "swap"}}), "on-demand, cached, swap");
  EXPECT_EQ(of("on-demand", {{"policy.miss.service", "compute-on-cpu"}}), "cpu-computed");
  EXPECT_EQ(of("pre-gated", {{"policy.transfer.chunk", "4 MiB"}, {"policy.transfer.staging_copies", "2"}}),
            "pre-gated, chunked, staged");
  // How often an expert is there is not what its copy costs.
  EXPECT_EQ(of("on-demand-cache", {{"policy.cache.eviction", "lfu"}, {"policy.cache.capacity", "7 slots"}}),
            "on-demand, cached");
}

// GPUs that share every layer, of an architecture and on software of which such groups were measured: by
// their rows. All else on several GPUs: by those of one, which the reason says.
TEST(Confidence, SeveralGpusAreLikePublishedGroupsOrAreNot) {
  const ModelSpec model = load_model("gpt-oss-120b");
  const auto assess = [&](const char* on, const char* software, bool shares_layers, const char* policy) {
    const MachineSpec machine = load_machine(on, {}, {}, software);
    RunFacts facts{.model = model, .machine = machine, .is_catalogue_machine = true};
    facts.several_gpus = true;
    facts.shares_layers = shares_layers;
    return confidence_in(facts, load_policy(policy), known_residuals());
  };
  const Confidence like = assess("h100-sxm-pcie5", "vllm", true, "gpu-only");
  EXPECT_EQ(like.label, Label::uncalibrated);
  EXPECT_EQ(like.nearest, "this GPU and mechanism with this software, on several GPUs");
  EXPECT_THAT(like.cases, HasSubstr("serving-h100"));
  EXPECT_THAT(like.reason, Not(HasSubstr("several GPUs")));
  EXPECT_THAT(assess("h200-sxm-pcie5", "vllm", true, "gpu-only").nearest,
              HasSubstr("architecture with this software, on several GPUs"));
  for (const Confidence& unlike :
       {assess("h100-sxm-pcie5", "vllm", false, "gpu-only"),
        assess("rtx4090-pcie4", "vllm", true, "gpu-only"), assess("h100-sxm-pcie5", "", true, "gpu-only"),
        assess("h100-sxm-pcie5", "vllm", true, "on-demand")}) {
    EXPECT_THAT(unlike.reason, HasSubstr("what stands behind its range are runs on one"));
    EXPECT_THAT(unlike.nearest, Not(HasSubstr("several")));
  }
}

// A file of one's own may extend the catalogue's machine, change it and keep the GPU's name: what was
// measured on that GPU then says no more of it than after --set.
TEST(Confidence, AFileThatChangesTheHardwareIsAnotherMachine) {
  const ModelSpec model = load_model("qwen3-30b-a3b");
  const auto nearest = [&](std::vector<Override> set, bool said_by_set, const char* policy) {
    const MachineSpec machine = load_machine("rtx4090-pcie4", set, {}, "llama-cpp");
    const RunFacts facts{.model = model, .machine = machine, .machine_changed = said_by_set};
    return confidence_in(facts, load_policy(policy), known_residuals()).nearest;
  };
  const std::string same = nearest({}, false, "gpu-only");
  EXPECT_THAT(same, HasSubstr("this GPU"));
  EXPECT_EQ(nearest({{"machine.gpu.memory_bandwidth", "1010 GB/s"}}, false, "gpu-only"), same) << "rounded";
  const std::vector<Override> slow{{"machine.gpu.memory_bandwidth", "300 GB/s"}};
  EXPECT_THAT(nearest(slow, false, "gpu-only"), Not(HasSubstr("this GPU")));
  EXPECT_EQ(nearest(slow, false, "gpu-only"), nearest(slow, true, "gpu-only"));
  // The link does not matter where nothing crosses it, and does where experts do.
  const std::vector<Override> link{{"machine.link.h2d.bandwidth", "6 GB/s"}};
  EXPECT_EQ(nearest(link, false, "gpu-only"), same);
  EXPECT_EQ(nearest(link, false, "llama-cpp-ncmoe"), nearest(link, true, "llama-cpp-ncmoe"));
}

// What is known of several GPUs says nothing of one.
TEST(Confidence, OneGpuIsJudgedByRunsOnOne) {
  const ModelSpec model = load_model("gpt-oss-120b");
  const MachineSpec machine = load_machine("h100-sxm-pcie5", {}, {}, "vllm");
  const RunFacts facts{.model = model, .machine = machine, .is_catalogue_machine = true};
  std::vector<Residual> of_one = known_residuals();
  const std::size_t all = of_one.size();
  std::erase_if(of_one, [](const Residual& each) { return each.basis == Basis::several_gpus; });
  EXPECT_LT(of_one.size(), all);
  const Confidence with = confidence_in(facts, load_policy("gpu-only"), known_residuals()),
                   without = confidence_in(facts, load_policy("gpu-only"), of_one);
  EXPECT_EQ(with.rows, without.rows);
  EXPECT_EQ(with.least_factor, without.least_factor);
  EXPECT_EQ(with.most_factor, without.most_factor);
}

TEST(Residuals, FileIsReadStrictly) {
  const auto refused = [](const std::string& text) {
    EXPECT_THROW(parse_residuals(text, "r.toml"), InputError) << text;
  };
  const std::string group = "[[predicted]]\ncase = \"c\"\nbasis = \"datasheet\"\n";
  const std::string good =
      R"({ row = "r", gpu = "g", architecture = "ada", model = "m", mechanism = "x", batch = 1, percent = 2.5 })";
  EXPECT_EQ(parse_residuals(group + "rows = [" + good + "]", "r.toml").at(0).percent, 2.5);
  refused("[[predicted]]\ncase = \"c\"\nbasis = \"guess\"\nrows = []");
  refused(group + "rows = [{ row = \"r\" }]");
  refused(group + "surprise = 1\nrows = []");
  refused(
      group +
      R"(rows = [{ row = "r", gpu = "g", architecture = "ada", model = "m", mechanism = "x", batch = 1, percent = -100 }])");
  refused(
      group +
      R"(rows = [{ row = "r", gpu = "g", architecture = "ada", model = "m", mechanism = "x", batch = 0, percent = 1 }])");
}

TEST(Residuals, WrittenAndReadAgain) {
  const std::vector<Residual> known = known_residuals();
  ASSERT_FALSE(known.empty());
  EXPECT_EQ(residuals_toml(parse_residuals(residuals_toml(known), "again.toml")), residuals_toml(known));
}

// Two hosts, whose mean errors are factors of 1 and 4: each is a factor of 2 from the mean of both. Rows of
// other designs, bases, and without the software that a case names, say nothing of hosts.
TEST(SpreadOfHosts, IsHowFarTheirMeanErrorsLieApart) {
  const auto row = [](const char* name, double percent) {
    Residual residual;
    residual.basis = Basis::datasheet;
    residual.published_case = name;
    residual.software = "llama-cpp";
    residual.mechanism = "cpu-computed, last layers pinned";
    residual.percent = percent;
    return residual;
  };
  std::vector<Residual> rows{row("a", 0), row("a", 0), row("b", 300)};
  EXPECT_NEAR(spread_of_hosts(rows), 1, 1e-12);
  rows.push_back(row("c", 900));
  rows.back().mechanism = "gpu-only";
  rows.push_back(row("d", 900));
  rows.back().software.clear();
  rows.push_back(row("e", 900));
  rows.back().basis = Basis::calibrated;
  EXPECT_NEAR(spread_of_hosts(rows), 1, 1e-12);
  EXPECT_EQ(spread_of_hosts(std::vector<Residual>{row("a", 5), row("a", 9)}), 0);
}

}  // namespace
}  // namespace pregate::validation
