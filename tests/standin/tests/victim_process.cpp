// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/tests/victim_process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace pregate::standin {
namespace {

std::string quoted(const std::string& text) { return "'" + text + "'"; }

}  // namespace

std::string read_whole_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Outcome run_victim(const std::string& program, const std::string& argument,
                   const std::map<std::string, std::string>& environment) {
  std::string directory = "/tmp/standin-test-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  std::string command = "env LD_LIBRARY_PATH=" + quoted(PREGATE_STANDIN_DIR);
  for (const auto& [name, value] : environment) command += " " + name + "=" + quoted(value);
  command += " timeout 60 " + quoted(program) + " " + quoted(argument) + " >" + directory + "/out 2>" +
             directory + "/err";
  const int status = std::system(command.c_str());
  Outcome outcome;
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.output = read_whole_file(directory + "/out");
  outcome.findings = read_whole_file(directory + "/err");
  unlink((directory + "/out").c_str());
  unlink((directory + "/err").c_str());
  rmdir(directory.c_str());
  return outcome;
}

}  // namespace pregate::standin
