// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/module.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "models/error.hpp"
#include "runtime/device_error.hpp"
#include "tests/runtime/modules/throwing.hpp"
#include "tests/runtime/scratch_folder.hpp"

namespace pregate::runtime {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

LoadedModule load(const std::string& name,
                  const std::vector<std::filesystem::path>& folders = {PREGATE_TEST_MODULES}) {
  LoadedModule module = load_module(name, folders, "install what it needs");
  EXPECT_EQ(module.functions == nullptr, !module.problem.empty());
  EXPECT_EQ(module.problem.empty(), module.hint.empty());
  EXPECT_THAT(module.problem + module.hint, Not(HasSubstr("\n")));
  return module;
}

// The module has its own copies of the classes' type information.
TEST(Module, WhatItThrowsIsCaughtByType) {
  const LoadedModule module = load("throwing");
  ASSERT_NE(module.functions, nullptr) << module.problem;
  const auto& throwing = *static_cast<const test::Throwing*>(module.functions);
  try {
    throwing.input_error();
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "--budget: too much\n       hint: give less");
  }
  EXPECT_THROW(throwing.device_error(), DeviceError);
  EXPECT_THROW(throwing.out_of_memory(), OutOfMemory);
  try {  // by its base, and not by what it is not
    throwing.out_of_memory();
    FAIL();
  } catch (const InputError&) {
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_THAT(error.what(), HasSubstr("slots needs 3"));
  }
}

TEST(Module, OfAnotherBuildIsRefused) {
  const LoadedModule module = load("other_build");
  EXPECT_THAT(module.problem, AllOf(HasSubstr("libpregate_other_build.so is of another build"),
                                    HasSubstr("build 0000000000000000"), HasSubstr(module_build)));
  EXPECT_THAT(module.hint, HasSubstr("from one build"));
}

TEST(Module, OneThatIsNoneIsRefused) {
  EXPECT_THAT(load("no_entry").problem, HasSubstr("it has no pregate_module_v1"));

  const pregate::test::ScratchFolder folder;
  const std::string file = folder.write("libpregate_text.so", "no library\n");
  const LoadedModule text = load("text", {folder.path("")});
  EXPECT_THAT(text.problem, StartsWith(file + ": "));
  EXPECT_THAT(text.hint, HasSubstr("PREGATE_MODULES"));
}

TEST(Module, OneWhoseLibraryIsMissingNamesIt) {
  const LoadedModule module = load("needs_absent");
  EXPECT_THAT(module.problem, AllOf(HasSubstr("libpregate_needs_absent.so cannot be loaded: "),
                                    HasSubstr("libpregate_absent.so")));
  EXPECT_EQ(module.hint, "install what it needs");
}

// The first folder that has it decides: a bad one is not passed over for another.
TEST(Module, IsLookedForInOrder) {
  const pregate::test::ScratchFolder folder;
  const std::string empty = folder.path("empty"), bad = folder.path("bad");
  EXPECT_THAT(load("throwing", {empty, bad}).problem,
              HasSubstr("libpregate_throwing.so is not in " + empty + " or " + bad));
  EXPECT_NE(load("throwing", {empty, PREGATE_TEST_MODULES}).functions, nullptr);
  std::filesystem::create_directory(bad);
  const std::string file = folder.write("bad/libpregate_throwing.so", "no library\n");
  EXPECT_THAT(load("throwing", {bad, PREGATE_TEST_MODULES}).problem, StartsWith(file + ": "));
}

TEST(Module, FoldersAreTheProgramsUnlessOneIsNamed) {
  ASSERT_EQ(unsetenv("PREGATE_MODULES"), 0);
  const std::vector<std::filesystem::path> folders = module_folders();
  ASSERT_EQ(folders.size(), 2U);
  EXPECT_TRUE(std::filesystem::exists(folders[0] / "runtime_test")) << folders[0];
  EXPECT_THAT(folders[1].string(), EndsWith("/pregate"));
  ASSERT_EQ(setenv("PREGATE_MODULES", "/a/folder", 1), 0);
  EXPECT_THAT(module_folders(), ElementsAre(std::filesystem::path("/a/folder")));
  ASSERT_EQ(unsetenv("PREGATE_MODULES"), 0);
}

}  // namespace
}  // namespace pregate::runtime
