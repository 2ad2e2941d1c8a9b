// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/module.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <string_view>
#include <system_error>

#include "models/error.hpp"

namespace pregate::runtime {

namespace {

namespace fs = std::filesystem;

constexpr const char* entry = "pregate_module_v1";
constexpr const char* mend =
    "install the modules of this program's build there, or name their folder in PREGATE_MODULES";

std::string shown(const fs::path& path) { return printable(path.string(), 300); }

std::string shown(const std::vector<fs::path>& folders) {
  std::string text;
  for (const fs::path& folder : folders) text += (text.empty() ? "" : " or ") + shown(folder);
  return text;
}

std::string last_error() {
  const char* const text = dlerror();
  return text != nullptr ? printable(text, 400) : "the loader does not say why";
}

}  // namespace

std::vector<fs::path> module_folders() {
  std::error_code ignored;
  const char* const named = std::getenv("PREGATE_MODULES");
  if (named != nullptr && *named != '\0') return {fs::absolute(named, ignored)};
  const fs::path own = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  std::vector<fs::path> folders = {own, (own / PREGATE_MODULE_FOLDER).lexically_normal()};
  // Where this is a library of another program, as of Python, the modules lie beside the library.
  Dl_info here = {};
  static const char mark = 0;
  if (dladdr(&mark, &here) != 0 && here.dli_fname != nullptr) {
    const fs::path library = fs::canonical(here.dli_fname, ignored).parent_path();
    if (!library.empty() && library != own) folders.insert(folders.begin(), library);
  }
  return folders;
}

LoadedModule load_module(const std::string& name, const std::vector<fs::path>& folders,
                         const std::string& needs) {
  const std::string file = "libpregate_" + name + ".so";
  fs::path found;
  for (const fs::path& folder : folders) {
    std::error_code ignored;
    if (!fs::exists(folder / file, ignored)) continue;
    found = folder / file;
    break;
  }
  if (found.empty()) {
    return {.problem = "its module " + file + " is not in " + shown(folders), .hint = mend};
  }
  // Lazily: the libraries that it needs bind what they use, when they use it; the module itself binds at
  // once. Never closed: what it made, threads and exceptions among it, may live as long as the process.
  void* const handle = dlopen(found.c_str(), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const std::string reason = last_error();
    // "<file>: invalid ELF header" is about the module; "<other>: cannot open shared object file" and
    // "<file>: undefined symbol: ..." are about what it needs.
    if (reason.starts_with(shown(found) + ": ") && reason.find("undefined symbol") == std::string::npos)
      return {.problem = reason, .hint = mend};
    return {.problem = shown(found) + " cannot be loaded: " + reason, .hint = needs};
  }
  const auto* const module = static_cast<const Module*>(dlsym(handle, entry));
  if (module == nullptr) {
    return {.problem = shown(found) + " is no module of this program: it has no " + entry, .hint = mend};
  }
  if (std::string_view(module->build) != module_build) {
    return {.problem = shown(found) + " is of another build: " + printable(module->build, 200) +
                       "; this program: " + module_build,
            .hint = "install the program and its modules from one build"};
  }
  return {.functions = module->functions, .problem = {}, .hint = {}};
}

}  // namespace pregate::runtime
