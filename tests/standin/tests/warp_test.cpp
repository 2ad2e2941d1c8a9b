// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/standin/tests/machine.hpp"

namespace pregate::standin::ptx {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Words = std::vector<std::uint32_t>;

/// Runs one block; each thread stores %r, which `body` computes.
Words run(const std::string& body, std::uint32_t threads, Machine& machine) {
  const auto out = machine.allocate_array(Words(threads));
  machine.run(kernel(".reg .b32 %r, %v; .reg .pred %q; .reg .b64 %o; mov.u32 %r, 0;\n" + body + R"(
    mul.wide.u32 %o, %tid, 4; add.s64 %p0, %p0, %o; st.global.u32 [%p0], %r;)",
                     1),
              {}, {.x = threads}, {out});
  return machine.array<std::uint32_t>(out);
}

Words run(const std::string& body, std::uint32_t threads = 32) {
  Machine machine;
  Words words = run(body, threads, machine);
  EXPECT_THAT(machine.texts, IsEmpty()) << body;
  return words;
}

TEST(WarpInstructions, ShufflesFollowTheirModeAndSegments) {
  const Words butterfly = run("shfl.sync.bfly.b32 %r, %tid, 5, 31, -1;");
  const Words down = run("shfl.sync.down.b32 %r|%q, %tid, 1, 31, -1; @!%q add.s32 %r, %r, 100;");
  const Words up = run("shfl.sync.up.b32 %r|%q, %tid, 3, 0, -1; @!%q mov.u32 %r, 99;");
  const Words index = run("shfl.sync.idx.b32 %r, %tid, 7, 31, -1;");
  // c = 0x1800 | 7: segments of eight lanes.
  const Words segment = run("shfl.sync.idx.b32 %r, %tid, 2, 6175, -1;");
  const Words halves = run("shfl.sync.bfly.b32 %r, %tid, 8, 2055, -1;");
  for (std::uint32_t lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(butterfly[lane], lane ^ 5U);
    EXPECT_EQ(down[lane], lane == 31 ? 131 : lane + 1);
    EXPECT_EQ(up[lane], lane < 3 ? 99 : lane - 3);
    EXPECT_EQ(index[lane], 7U);
    EXPECT_EQ(segment[lane], (lane & 24U) | 2U);
    // c = 0x0807: a clamp of 7 inside segments selected by bit 3; lanes beyond it keep their own value.
    EXPECT_EQ(halves[lane], (lane ^ 8U) <= ((lane & 8U) | 7U) ? lane ^ 8U : lane);
  }
}

TEST(WarpInstructions, VotesReductionsAndMatches) {
  EXPECT_THAT(run("setp.lt.u32 %q, %tid, 4; vote.sync.ballot.b32 %r, %q, -1;"), Each(15U));
  EXPECT_THAT(run("setp.lt.u32 %q, %tid, 4; vote.sync.any.pred %q, %q, -1; selp.u32 %r, 1, 0, %q;"),
              Each(1U));
  EXPECT_THAT(run("setp.lt.u32 %q, %tid, 4; vote.sync.all.pred %q, %q, -1; selp.u32 %r, 1, 0, %q;"),
              Each(0U));
  EXPECT_THAT(run("setp.ge.u32 %q, %tid, 0; vote.sync.uni.pred %q, %q, -1; selp.u32 %r, 1, 0, %q;"),
              Each(1U));
  EXPECT_THAT(run("redux.sync.add.u32 %r, %tid, -1;"), Each(31U * 16U));
  EXPECT_THAT(run("neg.s32 %v, %tid; redux.sync.min.s32 %r, %v, -1;"), Each(static_cast<std::uint32_t>(-31)));
  EXPECT_THAT(run("redux.sync.xor.b32 %r, %tid, -1;"), Each(0U));
  EXPECT_THAT(run("and.b32 %v, %tid, 1; match.any.sync.b32 %r, %v, -1; shr.u32 %r, %r, %v;"),
              Each(0x55555555U));
  EXPECT_THAT(run("match.all.sync.b32 %r|%q, %tid, -1;"), Each(0U));
  EXPECT_THAT(run("match.all.sync.b32 %r|%q, 3, -1; @!%q mov.u32 %r, 0;"), Each(0xffffffffU));
  EXPECT_THAT(run("elect.sync %r|%q, -1; @!%q add.s32 %r, %r, 0;"), Each(0U));
  const Words active = run("activemask.b32 %r; shr.u32 %r, %r, %tid; and.b32 %r, %r, 1;");
  EXPECT_THAT(active, Each(1U));  // at least the lane itself
}

// Lanes 0..7 take one branch and meet under a mask of eight; the others take theirs.
TEST(WarpInstructions, DivergedLanesMeetUnderTheirMask) {
  const Words words = run(R"(setp.lt.u32 %q, %tid, 8; @!%q bra OTHERS;
    redux.sync.add.u32 %r, %tid, 255; bra JOIN;
    OTHERS: redux.sync.max.u32 %r, %tid, 0xffffff00;
    JOIN: bar.warp.sync -1;
    add.s32 %r, %r, 1000;)");
  for (std::uint32_t lane = 0; lane < 32; ++lane) EXPECT_EQ(words[lane], lane < 8 ? 1028U : 1031U);
}

TEST(WarpInstructions, ExitedLanesAreNotWaitedFor) {
  const Words words = run(R"(setp.ge.u32 %q, %tid, 30; @%q exit;
    vote.sync.ballot.b32 %r, 1, -1;)");
  EXPECT_EQ(words[0], 0x3fffffffU);
  EXPECT_EQ(words[31], 0U);
}

TEST(WarpInstructions, MisuseIsFound) {
  struct Case {
    const char* body;
    const char* text;
  };
  for (const Case& c :
       {Case{"shfl.sync.idx.b32 %r, %tid, 3, 31, 2;", "does not name the calling lane"},
        Case{"setp.eq.u32 %q, %tid, 3; @%q exit; shfl.sync.idx.b32 %r, %tid, 3, 31, -1;",
             "lane 3, which does not take part"},
        Case{"setp.eq.u32 %q, %tid, 0; @%q bra X; bar.sync 0; X: bar.warp.sync -1;", "deadlock"}}) {
    Machine machine;
    run(c.body, 32, machine);
    ASSERT_FALSE(machine.texts.empty()) << c.body;
    EXPECT_EQ(machine.kinds[0], "divergence");
    EXPECT_THAT(machine.texts[0], HasSubstr(c.text));
  }
}

TEST(BlockInstructions, IndicesCoverGridAndBlock) {
  Machine machine;
  const auto out = machine.allocate_array(Words(2 * 3 * 2 * 4 * 2 * 2));
  machine.run(kernel(R"(.reg .b32 %n<14>; .reg .b64 %o; .reg .b32 %i, %m;
    mov.u32 %n0, %tid.x; mov.u32 %n1, %tid.y; mov.u32 %n2, %tid.z;
    mov.u32 %n3, %ntid.x; mov.u32 %n4, %ntid.y; mov.u32 %n5, %ntid.z;
    mov.u32 %n6, %ctaid.x; mov.u32 %n7, %ctaid.y; mov.u32 %n8, %ctaid.z;
    mov.u32 %n9, %nctaid.x; mov.u32 %n10, %nctaid.y;
    mad.lo.u32 %i, %n2, %n4, %n1; mad.lo.u32 %i, %i, %n3, %n0;
    mad.lo.u32 %m, %n8, %n10, %n7; mad.lo.u32 %m, %m, %n9, %n6;
    mul.lo.u32 %n3, %n3, %n4; mul.lo.u32 %n3, %n3, %n5; mad.lo.u32 %m, %m, %n3, %i;
    mul.wide.u32 %o, %m, 4; add.s64 %o, %o, %p0; red.global.add.u32 [%o], 1;)",
                     1),
              {2, 3, 2}, {4, 2, 2}, {out});
  EXPECT_THAT(machine.texts, IsEmpty());
  EXPECT_THAT(machine.array<std::uint32_t>(out), Each(1U));
}

// A sum over the block's dynamic shared memory, as kernels reduce.
std::string reduction(const char* barrier) {
  return ".extern .shared .align 16 .b8 buffer[];\n" + kernel(R"(
    .reg .b32 %a, %b, %s, %h; .reg .pred %q;
    mov.u32 %a, buffer; shl.b32 %s, %tid, 2; add.s32 %a, %a, %s; st.shared.u32 [%a], %tid;
    bar.sync 0;
    mov.u32 %h, 64;
    LOOP: setp.ge.u32 %q, %tid, %h; @%q bra SKIP;
    shl.b32 %s, %h, 2; add.s32 %s, %s, %a; ld.shared.u32 %b, [%s]; ld.shared.u32 %s, [%a];
    add.s32 %b, %b, %s; st.shared.u32 [%a], %b;
    SKIP: )" + std::string(barrier) + R"(
    shr.u32 %h, %h, 1; setp.ne.u32 %q, %h, 0; @%q bra LOOP;
    setp.ne.u32 %q, %tid, 0; @%q exit;
    ld.shared.u32 %b, [buffer]; st.global.u32 [%p0], %b;)",
                                                              1);
}

TEST(BlockInstructions, BarriersOrderSharedMemory) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    Machine machine(seed);
    const auto out = machine.allocate_array(Words(1));
    machine.run(reduction("bar.sync 0;"), {}, {.x = 128}, {out}, 128 * 4);
    EXPECT_THAT(machine.texts, IsEmpty());
    EXPECT_EQ(machine.array<std::uint32_t>(out).at(0), 127U * 64U);
  }
}

TEST(BlockInstructions, AMissingBarrierIsARaceInEveryOrder) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    Machine machine(seed);
    const auto out = machine.allocate_array(Words(1));
    machine.run(reduction("membar.cta;"), {}, {.x = 128}, {out}, 128 * 4);
    EXPECT_THAT(machine.kinds, ElementsAre("kernel-race"));
    EXPECT_THAT(machine.texts.at(0), HasSubstr("shared memory"));
  }
}

TEST(BlockInstructions, BarrierReductions) {
  EXPECT_THAT(run("setp.lt.u32 %q, %tid, 40; barrier.cta.red.popc.aligned.u32 %r, 0, %q;", 96), Each(40U));
  EXPECT_THAT(run("setp.lt.u32 %q, %tid, 40; bar.red.and.pred %q, 0, %q; selp.u32 %r, 1, 0, %q;", 96),
              Each(0U));
  EXPECT_THAT(run("setp.eq.u32 %q, %tid, 40; bar.red.or.pred %q, 0, %q; selp.u32 %r, 1, 0, %q;", 96),
              Each(1U));
}

TEST(BlockInstructions, DivergentBarriersAreFound) {
  Machine early;
  run("setp.eq.u32 %q, %tid, 5; @%q exit; bar.sync 0;", 64, early);
  EXPECT_THAT(early.texts.at(0), HasSubstr("63 of 64"));
  Machine branches;
  run("setp.lt.u32 %q, %tid, 32; @%q bra A; bar.sync 0; bra B; A: bar.sync 0; B:", 64, branches);
  EXPECT_THAT(branches.texts.at(0), HasSubstr("divergent barrier"));
}

TEST(BlockInstructions, RacesInDeviceMemoryAndTheirAbsence) {
  struct Case {
    const char* body;
    std::uint32_t blocks;
    bool race;
  };
  const std::vector<Case> cases = {
      {"st.global.u32 [%p0], %tid;", 1, true},               // all write one word
      {"red.global.add.u32 [%p0], 1;", 2, false},            // atomically
      {".reg .b32 %r; ld.global.u32 %r, [%p0];", 2, false},  // all read
      {"st.global.u8 [%o8], %tid;", 1, false},               // neighbouring bytes
      {".reg .b32 %r; ld.global.u32 %r, [%o4]; st.global.u32 [%o4], %r;", 1, false},
      {"st.global.u32 [%o4], %tid;", 2, true},  // two blocks, same places
      {".reg .b32 %r; st.global.u32 [%o4], %tid; bar.sync 0; ld.global.u32 %r, [%p0+12];", 1, false},
      {".reg .b32 %r; st.global.u32 [%o4], %tid; ld.global.u32 %r, [%p0+12];", 1, true},
      {".reg .b32 %r; st.global.u32 [%o4], %tid; bar.warp.sync -1; ld.global.u32 %r, [%p0+12];", 1, false},
  };
  for (const Case& c : cases) {
    Machine machine;
    const auto out = machine.allocate_array(Words(32));
    machine.run(kernel(R"(.reg .b64 %o8, %o4; mul.wide.u32 %o4, %tid, 4; add.s64 %o4, %o4, %p0;
      cvt.u64.u32 %o8, %tid; add.s64 %o8, %o8, %p0;
      )" + std::string(c.body),
                       1),
                {.x = c.blocks}, {.x = 32}, {out});
    EXPECT_EQ(machine.kinds, c.race ? std::vector<std::string>{"kernel-race"} : std::vector<std::string>{})
        << c.body;
  }
}

// nanosleep, fences and prefetches change nothing here; named barriers with a thread count are refused.
TEST(BlockInstructions, Others) {
  EXPECT_THAT(run("nanosleep.u32 20; membar.gl; fence.acq_rel.gpu; prefetch.global.L2 [%p0]; mov.u32 %r, 4;"),
              Each(4U));
  Machine machine;
  EXPECT_THROW(run("bar.sync 1, 32;", 64, machine), std::runtime_error);
  EXPECT_THROW(run("bar.arrive 1, 64;", 64, machine), std::runtime_error);
}

}  // namespace
}  // namespace pregate::standin::ptx
