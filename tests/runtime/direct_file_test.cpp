// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/direct_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <random>

#include "models/error.hpp"
#include "tests/runtime/execute_checks.hpp"
#include "tests/runtime/scratch_folder.hpp"

namespace pregate::runtime {
namespace {

using pregate::test::random_source;
using pregate::test::tiny_model;

/// Tests of what a drive does, in a folder of one; skipped, and said so, where it has no direct reads.
class OnDrive : public testing::Test {
 protected:
  void SetUp() override {
    try {
      DirectFile(folder_.path(""), {1}, "test");
    } catch (const InputError& error) {
      if (std::string(error.what()).find("O_DIRECT") == std::string::npos) throw;
      GTEST_SKIP() << "SKIPPED: no direct reads: " << error.what();
    }
  }
  pregate::test::ScratchFolder folder_;
};

TEST_F(OnDrive, AnyPartComesBackAsItWasWritten) {
  constexpr std::int64_t size =
      (std::int64_t{6} << 20) + 3 * DirectFile::block;  // more than is in flight at once
  const AlignedBuffer written({size});
  std::mt19937 random(1);
  for (std::byte& byte : written.span()) byte = static_cast<std::byte>(random());
  DirectFile file(folder_.path(""), {size - 5}, "test");
  EXPECT_EQ(file.size().count, size);
  file.write({}, written.span().first(DirectFile::block));
  file.write({DirectFile::block}, written.span().subspan(DirectFile::block));

  const AlignedBuffer area({size + DirectFile::block});
  DirectReader reader, one_by_one(false);
  EXPECT_EQ(one_by_one.method().substr(0, 5), "pread");
  for (const std::int64_t shift : {0, 1, 512, 4095}) {  // of the destination
    for (const std::int64_t at :
         {std::int64_t{0}, std::int64_t{1}, std::int64_t{4096}, std::int64_t{1'000'003}}) {
      for (const std::int64_t bytes : {std::int64_t{0}, std::int64_t{1}, std::int64_t{4096},
                                       std::int64_t{9999}, std::int64_t{5'000'000}, size - at}) {
        const auto begin = static_cast<std::size_t>(shift), length = static_cast<std::size_t>(bytes);
        std::memset(area.span().data(), 0, area.span().size());
        one_by_one.read(file, {at}, area.span().subspan(begin, length));
        EXPECT_EQ(std::memcmp(area.span().data() + begin, written.span().data() + at, length), 0) << "pread";
        std::memset(area.span().data(), 0x5a, area.span().size());
        reader.read(file, {at}, area.span().subspan(begin, length));
        EXPECT_EQ(std::memcmp(area.span().data() + begin, written.span().data() + at, length), 0)
            << bytes << " bytes from " << at << " to an address shifted by " << shift;
        for (const std::size_t beyond : {begin - 1, begin + length}) {
          if (beyond >= area.span().size()) continue;
          EXPECT_EQ(area.span()[beyond], std::byte{0x5a}) << "not its own";
        }
      }
    }
  }
  EXPECT_THROW(reader.read(file, {size - 1}, area.span().first(2)), std::out_of_range);
  EXPECT_THROW(reader.read(file, {-1}, area.span().first(2)), std::out_of_range);
}

TEST_F(OnDrive, NothingIsLeftBehind) {
  const DirectFile file(folder_.path(""), {100'000}, "test");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path("")));
}

// A file that ends early is what a failing drive looks like: an error, and no request is left in flight.
TEST_F(OnDrive, AFailedReadIsAnError) {
  DirectFile file(folder_.path(""), {std::int64_t{16} << 20}, "test");
  const AlignedBuffer block({DirectFile::block});
  file.write({}, block.span());
  const AlignedBuffer area({std::int64_t{16} << 20});
  for (const bool uses_io_uring : {true, false}) {
    DirectReader reader(uses_io_uring);
    try {
      reader.read(file, {}, area.span());
      ADD_FAILURE() << "it was read";
    } catch (const DeviceError& error) {
      EXPECT_NE(std::string(error.what()).find("the file ends there"), std::string::npos) << error.what();
    }
    EXPECT_NO_THROW(reader.read(file, {}, area.span().first(DirectFile::block)));
  }
}

/// Of 3 MiB and a bit, as a drive holds it: pieces in flight at once, and a rest.
class FailingDrive : public OnDrive {
 protected:
  static constexpr std::int64_t size = (std::int64_t{3} << 20) + 5 * DirectFile::block;

  void SetUp() override {
    OnDrive::SetUp();
    if (IsSkipped()) return;
    std::mt19937 random(2);
    for (std::byte& byte : written_.span()) byte = static_cast<std::byte>(random());
    file_.emplace(folder_.path(""), Bytes{size}, "test");
    file_->write({}, written_.span());
  }
  /// Whether all of it, to an address that is not aligned, is what was written.
  bool reads_right(DirectReader& reader) {
    const AlignedBuffer area({size + DirectFile::block});
    const std::span<std::byte> to = area.span().subspan(1, static_cast<std::size_t>(size));
    reader.read(*file_, {}, to);
    return std::memcmp(to.data(), written_.span().data(), to.size()) == 0;
  }
  AlignedBuffer written_{Bytes{size}};
  std::optional<DirectFile> file_;
};

// A drive may answer with a part of what was asked for, with nothing yet, or be interrupted.
TEST_F(FailingDrive, ShortAndInterruptedReadsAreGoneOnWith) {
  for (const bool uses_io_uring : {true, false}) {
    int asked = 0;
    DirectReader shortened(uses_io_uring, [&](std::int64_t, std::int64_t bytes, std::int64_t answer) {
      ++asked;
      return bytes > DirectFile::block ? std::min(answer, bytes / 2 / DirectFile::block * DirectFile::block)
                                       : answer;
    });
    EXPECT_TRUE(reads_right(shortened));
    EXPECT_GT(asked, 20);
    asked = 0;
    DirectReader interrupted(uses_io_uring, [&](std::int64_t, std::int64_t, std::int64_t answer) {
      return ++asked % 2 == 1 ? std::int64_t{-EINTR} : answer;
    });
    EXPECT_TRUE(reads_right(interrupted));
    EXPECT_GT(asked, 10);
  }
}

// Each request fails once, in each way: an error that says where and what, and the reader is as good as new.
TEST_F(FailingDrive, EveryFailedRequestIsAnErrorThatSaysWhere) {
  for (const bool uses_io_uring : {true, false}) {
    for (const std::int64_t failure : {std::int64_t{-EIO}, std::int64_t{-ENODEV}, std::int64_t{0}}) {
      int failed = 0;
      for (bool ended = false; !ended; ++failed) {
        ASSERT_LT(failed, 100);
        int asked = 0;
        std::int64_t failed_at = -1;
        DirectReader reader(uses_io_uring, [&](std::int64_t at, std::int64_t, std::int64_t answer) {
          if (asked++ != failed) return answer;
          failed_at = at;
          return failure;
        });
        try {
          EXPECT_TRUE(reads_right(reader));
          EXPECT_LE(asked, failed);  // after the last
          ended = true;
        } catch (const DeviceError& error) {
          const std::string text = error.what();
          EXPECT_NE(text.find("at byte " + std::to_string(failed_at) + ": "), std::string::npos) << text;
          const char* const why =
              failure == 0 ? "the file ends there" : std::strerror(static_cast<int>(-failure));
          EXPECT_NE(text.find(why), std::string::npos) << text;
          EXPECT_TRUE(reads_right(reader));
        }
      }
      EXPECT_GT(failed, 6);
    }
  }
}

TEST(DirectFiles, BadDirectoriesAreRefusedByName) {
  const auto refused = [](const std::string& directory, Bytes size) -> std::string {
    try {
      DirectFile(directory, size, "--experts-on-ssd");
    } catch (const InputError& error) {
      return error.what();
    }
    return {};
  };
  EXPECT_NE(refused("/no/such/directory", {1}).find("/no/such/directory"), std::string::npos);
  EXPECT_NE(refused("/proc", {1}).find("/proc"), std::string::npos);
  EXPECT_NE(refused(std::filesystem::temp_directory_path().string(), {std::int64_t{1} << 60}).find("free"),
            std::string::npos);
  if (std::filesystem::exists("/dev/shm")) {  // memory, whether the kernel allows direct reads of it or not
    EXPECT_NE(refused("/dev/shm", {1}).find("O_DIRECT"), std::string::npos);
  }
}

// Experts on the drive: the planner, the schedule and the outputs are those of experts in memory.
TEST_F(OnDrive, ExpertsFetchedFromItAreTheRightOnes) {
  const ModelSpec model = tiny_model(4, 16, 3);
  test::ListSource source = random_source(5, 4, 16, 3, 2, 7, 6);
  const auto expected = test::reference("host", model, source);
  for (const char* name : {"gpu-only", "on-demand", "pre-gated-cache", "prefetch-all"}) {
    for (const std::int64_t chunk : {0, 40'000}) {
      PolicySpec policy = test::policy_of(name, "25%");
      policy.transfer.chunk = {chunk};
      const ExecuteOptions in_memory{.recorded_steps = 1000};
      const ExecuteOptions on_drive{.recorded_steps = 1000, .experts = {.directory = folder_.path("")}};
      const test::LiveRun a = test::run_live("host", model, policy, source, in_memory),
                          b = test::run_live("host", model, policy, source, on_drive);
      EXPECT_LT(test::error_of(b, expected), test::tolerance) << name;
      EXPECT_TRUE(a.execution.result.schedule == b.execution.result.schedule) << name;
      ASSERT_FALSE(b.execution.result.notes.empty());
      EXPECT_NE(b.execution.result.notes.back().find("past the page cache"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace pregate::runtime
