// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/standin/ptx/parser.hpp"
#include "tests/standin/tests/machine.hpp"

namespace pregate::standin::ptx {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Words = std::vector<std::uint32_t>;

TEST(Memory, LoadsExtendAndVectorsKeepTheirOrder) {
  Machine machine;
  const auto in = machine.allocate_array(Words{0x8081fe7f, 1, 2, 3});
  const auto out = machine.allocate_array(Words(8));
  machine.run(kernel(R"(
    .reg .b32 %r<8>; .reg .b64 %q;
    ld.global.s8 %r0, [%p0+1]; st.global.u32 [%p1], %r0;
    ld.global.nc.u8 %r0, [%p0+3]; st.global.b32 [%p1+4], %r0;
    ld.global.s16 %r0, [%p0+2]; st.volatile.global.u32 [%p1+8], %r0;
    add.s64 %q, %p0, 16;
    ld.global.L1::no_allocate.L2::128B.u32 %r0, [%q+-8]; st.global.u32 [%p1+12], %r0;
    ld.v4.u32 {%r1, %r2, %r3, %r4}, [%p0];
    st.global.v4.b32 [%p1+16], {%r4, %r3, %r2, %r1};)",
                     2),
              {}, {}, {in, out});
  EXPECT_THAT(machine.texts, IsEmpty());
  EXPECT_THAT(machine.array<std::uint32_t>(out),
              ElementsAre(0xfffffffe, 0x80, 0xffff8081, 2, 3, 2, 1, 0x8081fe7f));
}

TEST(Memory, EverythingTouchedIsListed) {
  Machine machine;
  const auto in = machine.allocate_array(Words(64));
  const auto out = machine.allocate_array(Words(64));
  machine.run(kernel(R"(.reg .b64 %o; .reg .b32 %r;
    mul.wide.u32 %o, %tid, 4; add.s64 %p0, %p0, %o; add.s64 %p1, %p1, %o;
    ld.global.u32 %r, [%p0]; st.global.u32 [%p1], %r;)",
                     2),
              {}, {.x = 48}, {in, out});
  ASSERT_EQ(machine.touched.size(), 2U);
  EXPECT_EQ(machine.touched[0].low, in);
  EXPECT_EQ(machine.touched[0].high, in + 48 * 4);
  EXPECT_FALSE(machine.touched[0].write);
  EXPECT_EQ(machine.touched[1].low, out);
  EXPECT_TRUE(machine.touched[1].write);
}

TEST(Memory, GenericAddressesFindTheirSpace) {
  Machine machine;
  const auto out = machine.allocate_array(Words(3));
  machine.run(kernel(R"(
    .shared .align 8 .b8 pad[4]; .shared .align 4 .b8 box[8]; .local .align 8 .b8 depot[16];
    .reg .b64 %s<3>; .reg .b64 %l; .reg .b64 %g; .reg .b32 %r, %a;
    mov.u64 %s0, box; cvta.shared.u64 %s1, %s0;
    st.u32 [%s1+4], 77; ld.shared.u32 %r, [box+4]; st.global.u32 [%p0], %r;
    cvta.to.shared.u64 %s2, %s1; cvt.u32.u64 %a, %s2; ld.shared.u32 %r, [%a+4]; st.global.u32 [%p0+4], %r;
    mov.u64 %l, depot; cvta.local.u64 %l, %l; st.u32 [%l+8], 99; ld.local.u32 %r, [depot+8];
    cvta.global.u64 %g, %p0; cvta.to.global.u64 %g, %g; st.global.u32 [%g+8], %r;)",
                     1),
              {}, {}, {out});
  EXPECT_THAT(machine.texts, IsEmpty());
  EXPECT_THAT(machine.array<std::uint32_t>(out), ElementsAre(77, 77, 99));
}

TEST(Memory, ModuleVariablesHaveTheirInitialValues) {
  Machine machine;
  const auto out = machine.allocate_array(Words(3));
  const std::string variables =
      ".const .align 4 .b8 table[8] = {1, 0, 0, 0, 2};\n.global .align 4 .u32 counter = 40;\n";
  machine.run(variables + kernel(R"(.reg .b32 %r; .reg .b64 %a;
    ld.const.u32 %r, [table+4]; st.global.u32 [%p0], %r;
    mov.u64 %a, counter; atom.global.add.u32 %r, [%a], 2; ld.global.u32 %r, [counter];
    st.global.u32 [%p0+4], %r;
    ld.const.u32 %r, [table]; st.global.u32 [%p0+8], %r;)",
                                 1),
              {}, {}, {out});
  EXPECT_THAT(machine.array<std::uint32_t>(out), ElementsAre(2, 42, 1));
}

struct Misuse {
  const char* body;
  const char* kind;
};

TEST(Memory, MisuseStopsTheKernelAndIsNamed) {
  const std::vector<Misuse> cases = {
      {"st.global.u32 [%p0+16], %tid;", "bounds"},
      {"st.global.u32 [%p0+2], %tid;", "misaligned"},
      {".reg .b32 %r<4>; ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%p0+8];", "misaligned"},
      {".shared .align 4 .b8 s[8]; st.shared.u32 [s+8], %tid;", "bounds"},
      {".local .align 4 .b8 s[8]; st.local.u32 [s+-4], %tid;", "bounds"},
      {"trap;", "trap"},
      {".reg .b64 %z; mov.u64 %z, 0; st.u32 [%z], %tid;", "bounds"},
  };
  for (const Misuse& misuse : cases) {
    Machine machine;
    const auto block = machine.allocate_array(Words(4));
    machine.run(kernel(misuse.body, 1), {}, {}, {block});
    EXPECT_THAT(machine.kinds, ElementsAre(misuse.kind)) << misuse.body;
    EXPECT_THAT(machine.texts.at(0), HasSubstr("kernel k, block 0, thread 0"));
  }
}

TEST(Memory, AtomicsReturnTheOldValue) {
  struct Case {
    const char* text;
    std::uint32_t old, operand, expected;
  };
  const std::vector<Case> cases = {
      {"atom.global.add.u32 %r, [%p0], %b;", 5, 3, 8},
      {"atom.add.f32 %r, [%p0], %b;", 0x3f800000, 0x40000000, 0x40400000},
      {"atom.global.min.s32 %r, [%p0], %b;", 5, 0xffffffff, 0xffffffff},
      {"atom.global.max.u32 %r, [%p0], %b;", 5, 0xffffffff, 0xffffffff},
      {"atom.global.and.b32 %r, [%p0], %b;", 0xff, 0x0f, 0x0f},
      {"atom.global.xor.b32 %r, [%p0], %b;", 0xff, 0x0f, 0xf0},
      {"atom.global.exch.b32 %r, [%p0], %b;", 5, 9, 9},
      {"atom.global.cas.b32 %r, [%p0], 5, %b;", 5, 9, 9},
      {"atom.global.cas.b32 %r, [%p0], 6, %b;", 5, 9, 5},
      {"atom.global.inc.u32 %r, [%p0], %b;", 5, 5, 0},
      {"atom.global.inc.u32 %r, [%p0], %b;", 4, 5, 5},
      {"atom.global.dec.u32 %r, [%p0], %b;", 0, 7, 7},
      {"atom.acq_rel.gpu.global.or.b32 %r, [%p0], %b;", 1, 2, 3},
      {"atom.global.add.noftz.f16x2 %r, [%p0], %b;", 0x3c003c00, 0x3c000000, 0x40003c00},
      {"mov.u32 %r, 1; red.global.add.u32 [%p0], %b;", 1, 3, 4},
  };
  for (const Case& c : cases) {
    Machine machine;
    const auto cell = machine.allocate_array(Words{c.old, c.operand, 0});
    machine.run(kernel(".reg .b32 %r, %b; ld.global.u32 %b, [%p0+4];" + std::string(c.text) +
                           "st.global.u32 [%p0+8], %r;",
                       1),
                {}, {}, {cell});
    EXPECT_THAT(machine.texts, IsEmpty()) << c.text;
    EXPECT_THAT(machine.array<std::uint32_t>(cell), ElementsAre(c.expected, c.operand, c.old)) << c.text;
  }
}

TEST(Memory, AtomicsOfManyThreadsAddUp) {
  Machine machine;
  const auto cell = machine.allocate_array(Words{0});
  machine.run(kernel("red.global.add.u32 [%p0], 1;", 1), {.x = 7}, {.x = 96}, {cell});
  EXPECT_THAT(machine.texts, IsEmpty());
  EXPECT_EQ(machine.array<std::uint32_t>(cell).at(0), 7U * 96U);
}

std::string async_kernel(const std::string& wait) {
  return kernel(R"(.shared .align 16 .b8 s[32]; .reg .b32 %a; .reg .b32 %r; mov.u32 %a, s;
    cp.async.ca.shared.global [%a], [%p0], 4;
    cp.async.commit_group;
    cp.async.cg.shared.global [%a+16], [%p0], 16, 8;
    cp.async.commit_group;)" +
                    wait + R"(
    ld.shared.u32 %r, [s]; st.global.u32 [%p1], %r;
    ld.shared.u32 %r, [s+20]; st.global.u32 [%p1+4], %r;
    ld.shared.u32 %r, [s+24]; st.global.u32 [%p1+8], %r;)",
                2);
}

// A copy arrives when it is waited for, not before: without the wait the shared memory still has its poison.
TEST(Memory, AsynchronousCopiesArriveAtTheirWait) {
  for (const auto& [wait, expected] :
       std::vector<std::pair<std::string, Words>>{{"", {~0U, ~0U, ~0U}},
                                                  {"cp.async.wait_group 1;", {11, ~0U, ~0U}},
                                                  {"cp.async.wait_group 0;", {11, 12, 0}},
                                                  {"cp.async.wait_all;", {11, 12, 0}}}) {
    Machine machine;
    const auto in = machine.allocate_array(Words{11, 12, 13, 14});
    const auto out = machine.allocate_array(Words(3));
    machine.run(async_kernel(wait), {}, {}, {in, out});
    EXPECT_THAT(machine.texts, IsEmpty());
    EXPECT_EQ(machine.array<std::uint32_t>(out), expected) << wait;
  }
}

TEST(Parser, RefusesKernelsNotModules) {
  const auto module = parse(kernel("wgmma.fence.sync.aligned;", 0));
  EXPECT_THAT(module->kernels.at("k").unsupported, HasSubstr("wgmma.fence.sync.aligned"));
  const auto call = parse(kernel("call.uni (retval0), vprintf, (param0, param1);", 0));
  EXPECT_THAT(call->kernels.at("k").unsupported, HasSubstr("call.uni"));
  const auto label = parse(kernel("bra NOWHERE;", 0));
  EXPECT_THAT(label->kernels.at("k").unsupported, HasSubstr("NOWHERE"));
  const auto name = parse(kernel(".reg .b32 %x; mov.u32 %x, %clusterid.x;", 0));
  EXPECT_FALSE(name->kernels.at("k").unsupported.empty());
  EXPECT_THROW(parse(".visible .entry k() { mov.u32 %r1"), SyntaxError);
  EXPECT_THROW(parse("nonsense"), SyntaxError);
}

TEST(Parser, ScopesHideRegistersAndLabels) {
  Machine machine;
  const auto out = machine.allocate_array(Words(2));
  machine.run(kernel(R"(.reg .b32 %r; .reg .pred %q; mov.u32 %r, 1;
    { .reg .b16 %r; mov.u16 %r, 500; L: }
    { .reg .b32 x; mov.u32 x, %r; bra L; mov.u32 x, 9; L: st.global.u32 [%p0], x; }
    setp.eq.u32 %q, %r, 1;
    @!%q bra END;
    st.global.u32 [%p0+4], 5;
    END:)",
                     1),
              {}, {}, {out});
  EXPECT_THAT(machine.array<std::uint32_t>(out), ElementsAre(1, 5));
}

TEST(Parser, FindingsNameTheSourceLine) {
  Machine machine;
  const auto out = machine.allocate_array(Words(1));
  machine.run(kernel("\n.loc 1 57 5\nst.global.u32 [%p0+4], %tid;", 1), {}, {}, {out});
  EXPECT_THAT(machine.texts, Contains(HasSubstr("source line 57")));
}

}  // namespace
}  // namespace pregate::standin::ptx
