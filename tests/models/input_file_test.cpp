// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What is no file, and what is no text for a terminal.
#include "models/input_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "models/error.hpp"
#include "models/terminal_text.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using ::testing::HasSubstr;

TEST(InputFile, IsRefusedWithItsReason) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("pregate-input-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const auto at = [&](const char* name) { return (folder / name).string(); };
  fs::create_symlink("loop", at("loop"));
  fs::create_symlink("nowhere", at("dangling"));
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  std::ofstream(at("file")) << "x";
  const auto refused = [](const std::string& path) { return error_of([&] { require_regular_file(path); }); };
  EXPECT_THAT(refused(at("loop")), HasSubstr("is a link that leads back to itself"));
  EXPECT_THAT(refused(at("dangling")), HasSubstr("is a link to a file that does not exist"));
  EXPECT_THAT(refused(at("absent")), HasSubstr("there is no such file"));
  EXPECT_THAT(refused(at("pipe")), HasSubstr("is not a regular file"));
  EXPECT_THAT(refused("/dev/zero"), HasSubstr("is not a regular file"));
  EXPECT_THAT(refused(folder.string()), HasSubstr("is a folder"));
  EXPECT_NO_THROW(require_regular_file(at("file")));
  EXPECT_TRUE(is_absent(at("absent")));
  EXPECT_TRUE(is_absent(at("file/below")));
  EXPECT_FALSE(is_absent(at("dangling")));
  EXPECT_FALSE(is_absent(at("loop")));
  fs::remove_all(folder);
}

TEST(TerminalText, KeepsWhatIsShownAndNothingElse) {
  EXPECT_EQ(one_line("Qwen3 \xc3\xa9 \xe2\x94\x80 \xf0\x9f\x98\x80"),
            "Qwen3 \xc3\xa9 \xe2\x94\x80 \xf0\x9f\x98\x80");
  EXPECT_EQ(one_line("a\033[2J\tb\r\n\x7f"), "a?[2J?b???");
  EXPECT_EQ(terminal_lines("a\nb\033\n"), "a\nb?\n");
  EXPECT_EQ(one_line("\xc2\x9b"), "?") << "CSI as a character of its own";
  EXPECT_EQ(one_line("\xe2\x80\xae"
                     "x"),
            "?x")
      << "an override of the direction of writing";
  // Not UTF-8: alone, cut, overlong, a surrogate, beyond the last character.
  EXPECT_EQ(one_line("\xff"), "?");
  EXPECT_EQ(one_line("\xe2\x94"), "??");
  EXPECT_EQ(one_line("\xc0\xaf"), "??");
  EXPECT_EQ(one_line("\xed\xa0\x80"), "???");
  EXPECT_EQ(one_line("\xf4\x90\x80\x80"), "????");
}

TEST(InputErrors, AreOfOneLineAPart) {
  const InputError error("a\nerror: b\033", "c\rd", "e\nf");
  EXPECT_STREQ(error.what(), "a?error: b?: c?d\n       hint: e?f");
}

}  // namespace
}  // namespace pregate
