// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// How well a run is supported: the label's conditions one by one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "validation/published/confidence.hpp"

namespace pregate::validation {
namespace {

using sim::Confidence;
using ::testing::HasSubstr;
using ::testing::Not;
using Label = Confidence::Label;

/// A run on the machine that the catalogue has for the Pre-gated MoE case, changed in one way a test.
class PublishedCase : public ::testing::Test {
 protected:
  [[nodiscard]] Confidence assess() const {
    return confidence_in({model, machine, is_catalogue_machine, machine_changed, model_changed, batch,
                          generated_routing, largest_pass},
                         policy, known_residuals());
  }
  ModelSpec model = load_model("switch-base-128");
  MachineSpec machine = load_machine("a100-80g-fastertransformer");
  PolicySpec policy = load_policy("pre-gated");
  bool is_catalogue_machine = true, machine_changed = false, model_changed = false;
  int batch = 1;
  bool generated_routing = false;
  int largest_pass = 1;
};

TEST_F(PublishedCase, HitsOfGeneratedRoutingAreNotSupported) {
  generated_routing = true;
  EXPECT_THAT(assess().reason, Not(HasSubstr("hits"))) << "without a cache, routing hardly matters";
  policy = load_policy("pre-gated-cache");
  EXPECT_THAT(assess().reason, HasSubstr("the hits are the generated routing's"));
  generated_routing = false;
  EXPECT_EQ(assess().label, Label::published_case);
  EXPECT_THAT(assess().reason, Not(HasSubstr("hits")));
}

TEST_F(PublishedCase, HoldsForItsMachineModelsAndMechanisms) {
  const Confidence confidence = assess();
  EXPECT_EQ(confidence.label, Label::published_case);
  EXPECT_EQ(confidence.cases, "pregated-a100");
  // By hand from validation/published/residuals.toml: eight pre-gated rows, three of Figure 11 (the
  // fourth fixed an overhead) and five of Figure 14.
  double least = 1e9, most = -1e9;
  int rows = 0;
  for (const Residual& residual : known_residuals()) {
    if (residual.basis != Basis::fitted_machine || residual.mechanism != "pre-gated") continue;
    ++rows;
    least = std::min(least, residual.percent);
    most = std::max(most, residual.percent);
  }
  EXPECT_EQ(rows, 8);
  EXPECT_EQ(confidence.rows, rows);
  EXPECT_EQ(confidence.least_percent, least);
  EXPECT_EQ(confidence.most_percent, most);
}

TEST_F(PublishedCase, AnyDepartureIsAnUncalibratedEstimateWithAWiderRange) {
  const double published = assess().most_factor / assess().least_factor;
  const auto expect_estimate = [&](const char* reason) {
    const Confidence confidence = assess();
    EXPECT_EQ(confidence.label, Label::uncalibrated) << reason;
    EXPECT_THAT(confidence.reason, HasSubstr(reason));
    EXPECT_GT(confidence.most_factor / confidence.least_factor, published) << reason;
  };
  machine_changed = true;
  expect_estimate("--set machine");
  machine_changed = false;
  model_changed = true;
  expect_estimate("--set or --weights");
  model_changed = false;
  is_catalogue_machine = false;  // a user's file of that name
  expect_estimate("no published case was predicted with");
  is_catalogue_machine = true;
  batch = 65;
  expect_estimate("batch 1 to 64");
  batch = 1;
  policy = load_policy("pre-gated", std::vector<Override>{{"policy.transfer.chunk", "4 MiB"}});
  expect_estimate("pre-gated, chunked");
  policy = load_policy("pre-gated");
  model = load_model("mixtral-8x7b");
  expect_estimate("other software and models than mixtral-8x7b");
  model = load_model("switch-base-128");
  machine = load_machine("a100-80g-pcie4");
  expect_estimate("nothing measured");
}

/// A machine file as `pregate calibrate` writes it: a table for each operation of the model.
MachineSpec measured_for(const ModelSpec& model) {
  MachineSpec machine = load_machine("a100-80g-pcie4");
  machine.calibration = "measured";
  machine.measured_spread = 0.05;
  for (const Stack& stack : model.stacks) {
    for (const LayerProfile& layer : model.profile(stack)) {
      for (const std::string& operation : kernel_operations()) {
        if (operation == "head") continue;
        machine.kernel_times.push_back({kernel_key(operation, model, layer), {{1, Picoseconds{1}}}, {}});
      }
    }
  }
  return machine;
}

TEST_F(PublishedCase, CalibratedNeedsAQuietMachineAndThisModel) {
  machine = measured_for(model);
  is_catalogue_machine = false;
  const Confidence quiet = assess();
  EXPECT_EQ(quiet.label, Label::calibrated);
  EXPECT_THAT(quiet.reason, HasSubstr("5 %"));
  EXPECT_EQ(quiet.reason.find("extrapolated"), std::string::npos);
  largest_pass = 1;
  EXPECT_EQ(assess().reason, quiet.reason);
  largest_pass = 300;
  EXPECT_THAT(assess().reason, HasSubstr("up to 300 tokens go beyond the 1 that were measured"));
  machine.measured_spread = 0;
  EXPECT_GT(assess().least_factor, quiet.least_factor) << "the spread widens the range";

  machine.measured_spread = 0.4;
  EXPECT_EQ(assess().label, Label::uncalibrated);
  EXPECT_THAT(assess().reason, HasSubstr("NOISY"));
  machine.measured_spread = 0.05;
  for (const char* service : {"compute-on-cpu", "cpu-for-few-tokens", "threshold", "fraction", "makespan"}) {
    policy = load_policy("on-demand", std::vector<Override>{{"policy.miss.service", service}});
    EXPECT_EQ(assess().label, Label::uncalibrated) << service;
    EXPECT_THAT(assess().reason, HasSubstr("CPU")) << service;
  }
  policy = load_policy("pre-gated");
  machine_changed = true;
  EXPECT_EQ(assess().label, Label::uncalibrated);
  machine_changed = false;
  model = load_model("switch-large-128");
  EXPECT_THAT(assess().reason, HasSubstr("not calibrated for switch-large-128"));
  machine.kernel_times.clear();
  EXPECT_EQ(assess().label, Label::uncalibrated);
}

/// A machine with rows of its own, as `pregate calibrate --from` writes them.
TEST_F(PublishedCase, OwnRowsAreJudgedByThemselves) {
  is_catalogue_machine = false;
  machine.name = "mine";
  machine.fit.file = "rates.csv";
  for (const double percent : {-20.0, 0.0, 25.0})
    machine.fit.rows.push_back(
        {"rates.csv:2", model.name, "pre-gated", model.expert_format.name, 1, 0.5, percent});
  const Confidence own = assess();
  EXPECT_EQ(own.label, Label::calibrated);
  EXPECT_TRUE(own.are_own);
  EXPECT_EQ(own.cases, "rates.csv");
  EXPECT_EQ(own.rows, 3);
  // From a factor 1 / 1.25 to 1.25, widened by (3 + 1) / (3 - 1): left out, and not what was fitted; and by
  // the 2 % within which rates repeat.
  EXPECT_NEAR(own.range_of(100).least, 100 / std::pow(1.25, 2) / 1.02, 1e-9);
  EXPECT_NEAR(own.range_of(100).most, 100 * std::pow(1.25, 2) * 1.02, 1e-9);
  batch = 8;
  EXPECT_THAT(assess().reason, HasSubstr("of batch 1 to 1"));
  batch = 1;
  policy = load_policy("on-demand");
  EXPECT_THAT(assess().reason, HasSubstr("no rate of rates.csv"));
  EXPECT_EQ(assess().label, Label::uncalibrated);
  policy = load_policy("pre-gated");
  const ModelSpec own_model = std::exchange(model, load_model("mixtral-8x7b"));
  EXPECT_THAT(assess().reason, HasSubstr("is of mixtral-8x7b with experts in"));
  EXPECT_EQ(assess().label, Label::uncalibrated);
  model = own_model;
  machine.fit.rows.resize(2);
  EXPECT_THAT(assess().reason, HasSubstr("too few"));
}
}  // namespace
}  // namespace pregate::validation
