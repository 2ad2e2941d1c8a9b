// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/program_test.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

namespace pregate::test {

namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string program() {
  const char* chosen = std::getenv("PREGATE_PROGRAM");
  return chosen != nullptr ? chosen : PREGATE_CLI;
}

void redirect(const std::string& file, int descriptor) {
  const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (opened < 0 || ::dup2(opened, descriptor) < 0) ::_exit(126);
}

/// A terminal whose other side a program writes to; what it shows is read here.
class Terminal {
 public:
  Terminal() : reader_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    EXPECT_TRUE(reader_ >= 0 && ::grantpt(reader_) == 0 && ::unlockpt(reader_) == 0);
    const char* const name = ::ptsname(reader_);
    name_ = name != nullptr ? name : "";
  }
  ~Terminal() { ::close(reader_); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& shown() const { return shown_; }
  /// Reads until `text` was shown, or to the end, which is when the last writer has gone.
  bool read_until(const std::string& text) {
    char read[256];
    while (text.empty() || shown_.find(text) == std::string::npos) {
      const ::ssize_t count = ::read(reader_, read, sizeof read);
      if (count <= 0) return false;
      shown_.append(read, static_cast<std::size_t>(count));
    }
    return true;
  }

 private:
  int reader_;
  std::string name_, shown_;
};

std::string joined(const std::vector<std::string>& words) {
  std::string text = "pregate";
  for (const std::string& word : words) text += " " + word;
  return text;
}

}  // namespace

ProgramTest::ProgramTest() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path base =
      std::filesystem::temp_directory_path() /
      ("pregate-cli-" + std::to_string(::getpid()) + "-" + test->test_suite_name() + "-" + test->name());
  std::filesystem::remove_all(base);
  folder_ = base / "work";
  captured_ = base / "captured";
  std::filesystem::create_directories(folder_);
  std::filesystem::create_directories(captured_);
}

ProgramTest::~ProgramTest() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_.parent_path(), ignored);
}

Outcome ProgramTest::run(const Words& arguments, const Surroundings& surroundings) const {
  const std::string name = program();
  const std::string out =
      surroundings.standard_output.empty() ? (captured_ / "out").string() : surroundings.standard_output;
  const std::string err = (captured_ / "err").string();
  std::vector<std::string> words = surroundings.launcher;
  words.push_back(name);
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  std::optional<Terminal> terminal;
  int writer = -1;  // held open until the program has its own, or there would be an end before a beginning
  if (!surroundings.kill_when_shown.empty()) {
    writer = ::open(terminal.emplace().name().c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
  }
  const pid_t child = ::fork();
  if (child == 0) {
    redirect(out, STDOUT_FILENO);
    if (!terminal) redirect(err, STDERR_FILENO);
    if (terminal && ::dup2(writer, STDERR_FILENO) < 0) ::_exit(126);
    if (surroundings.largest_file > 0) {
      const auto bytes = static_cast<rlim_t>(surroundings.largest_file);
      const rlimit limit{bytes, bytes};
      if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(126);
    }
    ::unsetenv("COLUMNS");
    const std::string columns = std::to_string(surroundings.columns);
    if (surroundings.columns > 0) ::setenv("COLUMNS", columns.c_str(), 1);
    if (::chdir(folder_.c_str()) != 0) ::_exit(126);
    ::execv(argv.front(), argv.data());
    ::_exit(127);
  }
  if (terminal) {
    ::close(writer);
    EXPECT_TRUE(terminal->read_until(surroundings.kill_when_shown)) << terminal->shown();
    ::kill(child, surroundings.kill_signal);
    terminal->read_until("");
  } else if (surroundings.kill_signal != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(surroundings.kill_after_ms));
    ::kill(child, surroundings.kill_signal);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) {
    ADD_FAILURE() << "cannot run " << name;
    return {};
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content_of(captured_ / "out"),
          terminal ? terminal->shown() : content_of(err)};
}

std::string ProgramTest::succeed(const Words& arguments) const {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << joined(arguments) << "\n" << outcome.err;
  EXPECT_EQ(outcome.err, "") << joined(arguments);
  return outcome.out;
}

void ProgramTest::expect_refused(const Words& arguments, const std::vector<std::string>& mentions,
                                 const Surroundings& surroundings) const {
  SCOPED_TRACE(joined(arguments));
  const auto before = files();
  const Outcome outcome = run(arguments, surroundings);
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err << outcome.out;
  EXPECT_THAT(outcome.err, StartsWith("error: "));
  EXPECT_THAT(outcome.err, ::testing::Not(HasSubstr("fault in pregate")));
  for (const std::string& text : mentions) EXPECT_THAT(outcome.err, HasSubstr(text));
  const auto after = files();
  std::vector<std::string> names_before, names_after;
  for (const auto& file : before) names_before.push_back(file.first);
  for (const auto& file : after) names_after.push_back(file.first);
  EXPECT_EQ(names_before, names_after) << "files were left or lost";
  for (const auto& [name, text] : before) {
    const auto found = after.find(name);
    EXPECT_TRUE(found != after.end() && found->second == text) << name << " changed";
  }
}

std::string ProgramTest::write(const std::string& name, std::string_view text) const {
  std::ofstream(path(name), std::ios::binary) << text;
  return name;
}

std::string ProgramTest::read(const std::string& name) const {
  EXPECT_TRUE(std::filesystem::exists(path(name))) << name << " was not written";
  return content_of(path(name));
}

std::map<std::string, std::string> ProgramTest::files() const {
  std::map<std::string, std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
    const std::string name = entry.path().lexically_relative(folder_).string();
    std::error_code ignored;  // a link that leads back to itself
    found[name] = entry.is_regular_file(ignored) ? content_of(entry.path()) : "(not a file)";
  }
  return found;
}

std::string ProgramTest::sql(const std::string& name, const std::string& statements) const {
  std::string last;
  const auto keep_first_column = [](void* kept, int, char** values, char**) {
    *static_cast<std::string*>(kept) = values[0] != nullptr ? values[0] : "NULL";
    return 0;
  };
  sqlite3* database = nullptr;
  EXPECT_EQ(sqlite3_open_v2(path(name).c_str(), &database, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK)
      << name;
  EXPECT_EQ(sqlite3_exec(database, statements.c_str(), keep_first_column, &last, nullptr), SQLITE_OK)
      << statements << ": " << sqlite3_errmsg(database);
  sqlite3_close(database);
  return last;
}

std::string content_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

std::string content_hash(const std::string& output) {
  std::istringstream words(output);
  for (std::string word, before; words >> word; before = word) {
    if (before == "hash" && word.size() == 64) return word;
  }
  ADD_FAILURE() << "no content hash in: " << output;
  return {};
}

}  // namespace pregate::test
