// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/model_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "models/catalog.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::sim {
namespace {

using testing::HasSubstr;

// Parts and groups add up to what the model says of itself, whatever its kinds of layers.
TEST(ModelReport, PartsAddUpForEveryModelOfTheCatalogue) {
  for (const std::string& name : model_names()) {
    const ModelSpec model = load_model(name);
    const ModelReport report = report_on(model, 4096);
    Bytes stored, cached;
    for (const PartSize& part : report.parts) stored += part.bytes;
    EXPECT_EQ(stored, model.dense_bytes() + model.all_expert_bytes()) << name;
    std::size_t feed_forwards = 0, layers = 0;
    for (const MixerGroup& group : report.mixers) {
      if (group.stack == "decoder") cached += group.at_context;
    }
    EXPECT_EQ(cached, model.kv_bytes(4096)) << name;
    for (const FeedForwardGroup& group : report.feed_forwards)
      feed_forwards += static_cast<std::size_t>(group.layers);
    for (const Stack& stack : model.stacks) layers += stack.layers.size();
    EXPECT_LE(feed_forwards, layers) << name;
  }
}

TEST(ModelReport, TextFitsEightyColumns) {
  for (const std::string& name : model_names()) {
    std::istringstream lines(model_text(report_on(load_model(name), 1'000'000)));
    for (std::string line; std::getline(lines, line);) {
      if (line.find("http") != std::string::npos) continue;
      EXPECT_LE(display_width(line), 80u) << line;
    }
  }
}

// 23 of 52 layers are Mamba-2: 23 x (64 x 64 x 128 x 4 + 3 x 6144 x 2) B = 46.8 MiB of state.
TEST(ModelReport, SaysKindsOfLayersAndTheirStates) {
  const ModelReport report = report_on(load_model("nemotron-3-nano-30b-a3b"), 32'768);
  const std::string text = model_text(report);
  EXPECT_EQ(short_kinds(report), "23M 6F");
  EXPECT_THAT(text, HasSubstr("    23  mamba2: 64 heads of 64, 8 groups, state 128\n"));
  EXPECT_THAT(text, HasSubstr("    23  MoE, 128 experts, top-6, width 1856, shared 3712\n"));
  EXPECT_THAT(text, HasSubstr("mamba2                     23       -          0       46.8     46.8\n"));
  EXPECT_THAT(model_json(report), HasSubstr(R"("state_bytes_per_layer": 2134016)"));
  // A name of a hostile file reaches neither the terminal nor the JSON as it is.
  ModelReport hostile = report;
  hostile.model.description = "red \x1b[31m \xff";
  EXPECT_EQ(model_text(hostile).find('\x1b'), std::string::npos);
  EXPECT_EQ(model_json(hostile).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace pregate::sim
