// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "tests/traces/support.hpp"
#include "traces/statistics.hpp"

namespace pregate::test {

/// Imports of small recordings that a test writes down.
class Recordings : public TraceTest {
 protected:
  trace::ImportResult import(const std::string& text, const trace::ImportOptions& options = {}) {
    return import_file(write("in", text), options);
  }
  /// Also: the trace is sound, and JSONL out and in keeps the content hash.
  trace::ImportResult import_file(const std::string& file, trace::ImportOptions options = {}) {
    options.overwrite = true;
    trace::ImportResult result = trace::import_trace({file}, path("t.db"), options);
    EXPECT_THAT(trace::check(path("t.db")), testing::IsEmpty());
    const auto source = trace::open_trace(path("t.db"));
    trace::export_jsonl(*source, trace::read_requests(path("t.db")), path("t.jsonl"));
    EXPECT_EQ(trace::import_trace({path("t.jsonl")}, path("back.db"), {.overwrite = true}).info.content_hash,
              result.info.content_hash);
    steps = all_steps(*source);
    return result;
  }
  std::string refused(const std::string& text, const trace::ImportOptions& options = {}) {
    std::filesystem::remove(path("o.db"));
    const std::string message =
        complaint([&] { trace::import_trace({write("bad", text)}, path("o.db"), options); });
    EXPECT_FALSE(std::filesystem::exists(path("o.db")));
    EXPECT_THAT(message, testing::HasSubstr("docs/recording.md"));
    return message;
  }
  [[nodiscard]] static std::vector<int> layers_of(const trace::ImportResult& result) {
    std::vector<int> layers;
    for (const trace::TraceLayer& layer : result.info.layers) layers.push_back(layer.layer);
    return layers;
  }

  std::vector<OwnedStep> steps;
};

}  // namespace pregate::test
