# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Writes OUTPUT, a C++ file that defines `std::span<const EmbeddedFile> pregate::FUNCTION()`, from FILES.
# Run as a script: cmake -DOUTPUT=... -DFUNCTION=... -DHEADER=... -DFILES=a;b -P embed.cmake
# Each file becomes one raw string literal; a file larger than 60 KB is refused, as compilers limit them.
set(entries "")
set(count 0)
foreach(file IN LISTS FILES)
  file(SIZE "${file}" size)
  if(size GREATER 60000)
    message(FATAL_ERROR "${file}: ${size} bytes is too large to embed (limit 60000)")
  endif()
  file(READ "${file}" text)
  get_filename_component(leaf "${file}" NAME)
  string(REGEX REPLACE "\\.toml$" "" name "${leaf}")
  # Only ever expanded inside quotes, so brackets and semicolons of the text stay as they are.
  string(APPEND entries "    EmbeddedFile{\"${name}\", R\"~~~~(${text})~~~~\"},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUTPUT}" "// Generated from the catalogue by cmake/embed.cmake.
#include \"${HEADER}\"

#include <array>

namespace pregate {

std::span<const EmbeddedFile> ${FUNCTION}() {
  static constexpr std::array<EmbeddedFile, ${count}> files = {
${entries}  };
  return files;
}

}  // namespace pregate
")
