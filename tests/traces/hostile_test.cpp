// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <sqlite3.h>

#include "tests/traces/support.hpp"
#include "traces/statistics.hpp"

namespace pregate::test {
namespace {

using namespace trace;
using ::testing::Contains;
using ::testing::HasSubstr;

class Hostile : public TraceTest {
 protected:
  /// A sound trace with weights: 40 steps of 2 layers, 8 and 4 experts.
  std::string sound(const std::string& name = "t.db") {
    TraceInfo info = decoder({{8, 2}, {4, 1}});
    info.has_weights = true;
    TraceWriter writer(path(name), info, true);
    const std::vector<float> weights = {0.5F, 0.25F, 1.0F};
    for (int request = 0; request < 2; ++request) {
      writer.begin_request({});
      for (int i = 0; i < 20; ++i) {
        const std::vector<std::uint16_t> ids = {1, 2, 3};
        Step step = decode(ids, 1, i);
        step.weights = weights;
        writer.add(step);
      }
    }
    writer.commit();
    return path(name);
  }

  /// A sound trace after this SQL.
  std::string after(const char* sql) {
    const std::string file = sound();
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
    return file;
  }

  /// The complaint of reading a file to its end.
  static std::string reading(const std::string& file) {
    return complaint([&] {
      const auto source = open_trace(file);
      Step step;
      while (source->next(step)) {
      }
    });
  }
};

TEST_F(Hostile, FilesThatAreNoTraces) {
  EXPECT_THAT(reading(path("absent.db")), HasSubstr("absent.db: no such file"));
  EXPECT_THAT(reading(path(".")), HasSubstr("is a folder"));
  EXPECT_THAT(reading("/dev/zero"), HasSubstr("not a regular file"));
  EXPECT_THAT(reading(write("empty.db", "")), HasSubstr("is empty"));
  EXPECT_THAT(reading(write("text.db", std::string(5000, 'x'))), HasSubstr("is not a trace database"));
  const std::string whole = text_of(sound());
  EXPECT_THAT(reading(write("head.db", whole.substr(0, 50))), HasSubstr("is not a trace database"));
  EXPECT_THAT(reading(write("cut.db", whole.substr(0, whole.size() - 5000))), HasSubstr("is truncated"));
  EXPECT_THAT(reading(after("PRAGMA application_id = 1")), HasSubstr("not of routing traces"));
  EXPECT_THAT(reading(after("PRAGMA user_version = 2")),
              HasSubstr("schema version 2, this program reads version 1"));
  EXPECT_THAT(reading(after("PRAGMA journal_mode = WAL")), HasSubstr("write-ahead-log"));
}

TEST_F(Hostile, SchemasThatAreNotOurs) {
  EXPECT_THAT(reading(after("DROP TABLE step")), HasSubstr("are missing"));
  EXPECT_THAT(reading(after("CREATE VIEW v AS SELECT 1")), HasSubstr("not those of trace schema"));
  EXPECT_THAT(reading(after("CREATE TRIGGER t AFTER INSERT ON step BEGIN SELECT 1; END")),
              HasSubstr("not those of trace schema"));
  EXPECT_THAT(reading(after("ALTER TABLE step ADD COLUMN extra INTEGER")),
              HasSubstr("not those of trace schema"));
}

TEST_F(Hostile, RowsThatDoNotHold) {
  EXPECT_THAT(reading(after("UPDATE step SET experts = x'010203FF' WHERE id = 7")),
              HasSubstr("request 0, step 7: experts blob of 4 bytes, its layers and tokens need 3"));
  EXPECT_THAT(reading(after("UPDATE step SET experts = x'' WHERE id = 7")), HasSubstr("blob of 0 bytes"));
  EXPECT_THAT(reading(after("UPDATE step SET experts = x'010208' WHERE id = 21")),
              HasSubstr("request 1, step 1: expert 8 in layer 1, but the layer has 4 experts (0..3)"));
  EXPECT_THAT(reading(after("UPDATE step SET weights = x'0000C07F0000803F0000803F' WHERE id = 3")),
              HasSubstr("NaN"));
  EXPECT_THAT(reading(after("UPDATE step SET weights = NULL WHERE id = 3")),
              HasSubstr("weights blob of 0 bytes"));
  EXPECT_THAT(reading(after("UPDATE step SET tokens = 9000000000000000000")), HasSubstr("tokens"));
  EXPECT_THAT(reading(after("UPDATE step SET tokens = 1048576")), HasSubstr("blob of 3 bytes"));
  EXPECT_THAT(reading(after("UPDATE step SET stack = -1")), HasSubstr("stack out of range"));
  EXPECT_THAT(reading(after("UPDATE step SET phase = 9")), HasSubstr("unknown phase 9"));
  EXPECT_THAT(reading(after("UPDATE step SET position = -5")), HasSubstr("negative position"));
  EXPECT_THAT(reading(after("UPDATE step SET position = 9 WHERE id = 5")),
              HasSubstr("request 0, step 5: starts at position 9, but the step before it ends at 5"));
  EXPECT_THAT(reading(after("UPDATE step SET phase = 0 WHERE id = 3")),
              HasSubstr("step 3: encoder step in stack 'decoder'"));
  EXPECT_THAT(reading(after("UPDATE step SET experts = x'020203' WHERE id = 3")),
              HasSubstr("token 0 has expert 2 twice in layer 0"));
  // -5 and 1e30 as float32, least significant byte first.
  EXPECT_THAT(reading(after("UPDATE step SET weights = x'0000A0C00000803F0000803F' WHERE id = 3")),
              HasSubstr("a gate weight is -5"));
  EXPECT_THAT(reading(after("UPDATE step SET weights = x'CAF249710000803F0000803F' WHERE id = 3")),
              HasSubstr("a gate weight is 1"));
  EXPECT_THAT(reading(after("UPDATE step SET sequences = 2")), HasSubstr("2 sequences with 1 tokens"));
  EXPECT_THAT(reading(after("UPDATE step SET request = 5 WHERE id = 30")), HasSubstr("follows request"));
  EXPECT_THAT(reading(after("DELETE FROM step WHERE id = 12")), HasSubstr("has id 13"));
  EXPECT_THAT(reading(after("DELETE FROM step WHERE id = 39")), HasSubstr("claims 40 steps, but holds 39"));
}

// Routing that is sound by itself but is not what the database's hash says: a result would carry the hash of
// another recording.
TEST_F(Hostile, EditedRoutingDoesNotKeepItsHash) {
  for (const char* sql :
       {"UPDATE step SET experts = x'000203' WHERE id = 39", "UPDATE request SET label = 'x' WHERE id = 1",
        "UPDATE layer SET expert_bytes = 1 WHERE id = 0", "UPDATE trace SET content_hash = 'ff'"}) {
    EXPECT_THAT(reading(after(sql)), HasSubstr("is not what its content hash says")) << sql;
  }
  // A pass that is broken off says nothing; the next whole one does. Later passes need not look again.
  const auto source = open_trace(after("UPDATE step SET experts = x'000203' WHERE id = 39"));
  Step step;
  EXPECT_TRUE(source->next(step));
  source->rewind();
  EXPECT_THAT(complaint([&] {
                while (source->next(step)) {
                }
              }),
              HasSubstr("content hash"));
  const auto trusted = open_trace(path("t.db"), Verify::no);
  while (trusted->next(step)) {
  }
}

// Text of a database reaches messages without its control characters.
TEST_F(Hostile, NoEscapeSequenceReachesAMessage) {
  for (const char* sql :
       {"UPDATE stack SET name = 'de\x1b[2Jcoder'; UPDATE step SET phase = 0 WHERE id = 3",
        "UPDATE trace SET content_hash = '\x1b[2J'", "CREATE VIEW \"v\x1b[2J\" AS SELECT 1"}) {
    const std::string file = after(sql);
    EXPECT_THAT(reading(file), ::testing::Not(HasSubstr("\x1b"))) << sql;
    for (const std::string& fault : check(file)) EXPECT_THAT(fault, ::testing::Not(HasSubstr("\x1b"))) << sql;
  }
}

TEST_F(Hostile, DescriptionsThatDoNotHold) {
  EXPECT_THAT(reading(after("DELETE FROM request")), HasSubstr("holds no requests"));
  EXPECT_THAT(reading(after("DELETE FROM trace")), HasSubstr("unfinished"));
  EXPECT_THAT(reading(after("DELETE FROM layer")), HasSubstr("this has 0"));
  EXPECT_THAT(reading(after("UPDATE layer SET experts = 999999999999")), HasSubstr("experts"));
  EXPECT_THAT(reading(after("UPDATE layer SET top_k = 0")), HasSubstr("top_k 0"));
  EXPECT_THAT(reading(after("UPDATE layer SET stack = 3")), HasSubstr("stack 3, which does not exist"));
  EXPECT_THAT(reading(after("UPDATE trace SET steps = 9223372036854775807")), HasSubstr("claims"));
  EXPECT_THAT(
      reading(after("INSERT INTO step SELECT 9223372036854775807, request, step, phase, stack, sequences, "
                    "tokens, position, experts, predicted, weights FROM step WHERE id = 0")),
      HasSubstr("not numbered from 0"));
  EXPECT_THAT(reading(after("UPDATE trace SET tokens = 41")), HasSubstr("41 tokens, but holds"));
}

TEST_F(Hostile, CheckReportsEverythingAndGoesOn) {
  EXPECT_TRUE(check(sound()).empty());
  EXPECT_THAT(check(after("UPDATE step SET experts = x'010203FF' WHERE id IN (3, 8, 30)")),
              ::testing::SizeIs(3));
  EXPECT_THAT(check(after("UPDATE step SET experts = x'010203FF'"), 5), ::testing::SizeIs(5));
  EXPECT_THAT(check(after("UPDATE step SET experts = x'020203' WHERE id = 3")),
              Contains(HasSubstr("step 3: token 0 has expert 2 twice in layer 0")));
  EXPECT_THAT(check(after("UPDATE step SET experts = x'010303' WHERE id = 3")),
              Contains(HasSubstr("content hash")));
  EXPECT_THAT(check(after("UPDATE trace SET routed_entries = 7")),
              Contains(HasSubstr("claims 7 routed entries")));
  EXPECT_THAT(check(path("absent.db")), Contains(HasSubstr("no such file")));
}

// A flipped byte anywhere is an error or a trace whose hash shows it, never a crash or an id out of range.
TEST_F(Hostile, NoFlippedByteGetsThrough) {
  const std::string whole = text_of(sound());
  int refused = 0;
  // A stride that is coprime to the page size meets every kind of place.
  for (std::size_t at = 0; at < whole.size(); at += 151) {
    std::string broken = whole;
    broken[at] = static_cast<char>(~broken[at]);
    const std::string file = write("broken.db", broken);
    try {
      const auto source = open_trace(file);
      Step step;
      while (source->next(step))
        for (std::size_t i = 0; i < step.experts.size(); ++i)
          ASSERT_TRUE(step.experts[i] == no_expert || step.experts[i] < 8) << "byte " << at;
      read_requests(file);
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 5);
}

}  // namespace
}  // namespace pregate::test
