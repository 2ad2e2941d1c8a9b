// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What a trace may say of how its requests were served: when they arrived, what was accepted of drafts.
#include <sqlite3.h>

#include "tests/traces/support.hpp"
#include "traces/statistics.hpp"

namespace pregate::test {
namespace {

using trace::import_trace;

class Served : public TraceTest {
 protected:
  /// The first request of the trace below with other values.
  static std::string text(const std::string& accepted = "2", const std::string& arrival = "1000",
                          const std::string& position = "4") {
    return R"({"format":"pregate-trace","version":1,"stacks":["decoder"],)"
           R"("layers":[{"stack":0,"layer":0,"experts":8,"top_k":1}],"arrivals":true,"accepted":true})"
           "\n"
           R"({"request":0,"arrival_ns":5})"
           "\n"
           R"({"phase":"prefill","tokens":2,"position":0,"experts":[[[0],[1]]]})"
           "\n"
           R"({"phase":"decode","tokens":3,"position":2,"accepted":)" +
           accepted +
           R"(,"experts":[[[2],[3],[4]]]})"
           "\n"
           R"({"phase":"decode","tokens":1,"position":)" +
           position +
           R"(,"accepted":1,"experts":[[[5]]]})"
           "\n"
           R"({"request":1,"arrival_ns":)" +
           arrival +
           "}\n"
           R"({"phase":"decode","tokens":1,"position":0,"accepted":1,"experts":[[[5]]]})"
           "\n";
  }
  std::string complaint_about(const std::string& jsonl) const {
    return complaint([&] { import_trace({write("bad.jsonl", jsonl)}, path("bad.db")); });
  }
};

TEST_F(Served, ArrivalsAndAcceptedTokensSurvive) {
  const auto imported = import_trace({write("t.jsonl", text())}, path("t.db"));
  EXPECT_TRUE(imported.info.has_arrivals && imported.info.has_accepted);
  const auto source = trace::open_trace(path("t.db"));
  for (int round = 0; round < 2; ++round) {
    std::vector<std::int64_t> arrivals;
    std::vector<int> accepted;
    trace::Step step;
    source->rewind();
    while (source->next(step)) {
      arrivals.push_back(step.arrival_ns);
      accepted.push_back(step.accepted);
    }
    EXPECT_THAT(arrivals, testing::ElementsAre(5, -1, -1, 1000));
    EXPECT_THAT(accepted, testing::ElementsAre(-1, 2, 1, 1));
  }
  EXPECT_THAT(trace::check(path("t.db"), 10), testing::IsEmpty());
  trace::export_jsonl(*source, trace::read_requests(path("t.db")), path("out.jsonl"));
  const auto back = import_trace({path("out.jsonl")}, path("back.db"));
  EXPECT_EQ(back.info.content_hash, imported.info.content_hash);
  const auto later = import_trace({write("later.jsonl", text("2", "1001"))}, path("later.db"));
  EXPECT_NE(later.info.content_hash, imported.info.content_hash);
}

TEST_F(Served, WhatCannotBeIsRefused) {
  EXPECT_THAT(complaint_about(text("4")), testing::HasSubstr("4 accepted tokens"));
  EXPECT_THAT(complaint_about(text("2", "4")), testing::HasSubstr("request 1 arrives at 4 ns"));
  EXPECT_THAT(complaint_about(text("2", "9000000000000000")), testing::HasSubstr("arrival_ns"));
  EXPECT_THAT(complaint_about(text("2", "1000", "5")), testing::HasSubstr("starts at position 5"));
}

TEST_F(Served, ADamagedTableIsFoundOut) {
  for (const char* damage :
       {"DELETE FROM arrival WHERE request = 1", "UPDATE arrival SET ns = 3 WHERE request = 1",
        "DELETE FROM accepted WHERE step = 2", "UPDATE accepted SET tokens = -7"}) {
    import_trace({write("t.jsonl", text())}, path("t.db"), {.overwrite = true});
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path("t.db").c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, damage, nullptr, nullptr, nullptr), SQLITE_OK) << damage;
    sqlite3_close(database);
    EXPECT_FALSE(complaint([&] { all_steps(*trace::open_trace(path("t.db"))); }).empty()) << damage;
    EXPECT_FALSE(trace::check(path("t.db"), 10).empty()) << damage;
  }
}

}  // namespace
}  // namespace pregate::test
