# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# PREGATE_SANITIZE for every target. AddressSanitizer sees what `object-size` sees, and compiles in less time.
if(PREGATE_SANITIZE)
  set(sanitize -fsanitize=${PREGATE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  if(PREGATE_SANITIZE MATCHES "undefined")
    list(APPEND sanitize -fno-sanitize=object-size)
    # Two checks at every access take a quarter of the compile time. AddressSanitizer sees an access through null as
    # well, and code that looks at raw memory is in targets that keep both.
    set(PREGATE_FEWER_CHECKS $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=null,alignment>)
  endif()
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${sanitize}>")
  # nvcc hands its host code to the same compiler.
  string(REPLACE "," "\\," sanitizers "${PREGATE_SANITIZE}")
  add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-fsanitize=${sanitizers},-fno-omit-frame-pointer>")
  add_link_options(-fsanitize=${PREGATE_SANITIZE})
endif()

# Coverage of everything, for the harnesses of tests/fuzz.
if(PREGATE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "PREGATE_FUZZ needs clang with libFuzzer: -DCMAKE_CXX_COMPILER=clang++")
  endif()
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=fuzzer-no-link>)
endif()

# Of what spends little time, so that optimising it costs more than it saves, under sanitizers and where the build is
# what takes long (PREGATE_QUICK_BUILD); and looks at no raw memory.
set(PREGATE_QUICK_OPTIONS)
if(PREGATE_SANITIZE)
  set(PREGATE_QUICK_OPTIONS $<$<COMPILE_LANGUAGE:CXX>:-O0> ${PREGATE_FEWER_CHECKS})
elseif(PREGATE_QUICK_BUILD)
  set(PREGATE_QUICK_OPTIONS $<$<COMPILE_LANGUAGE:CXX>:-O1>)
endif()

# quick_to_compile(targets...): the whole of these.
function(quick_to_compile)
  foreach(target IN LISTS ARGN)
    target_compile_options(${target} PRIVATE ${PREGATE_QUICK_OPTIONS})
  endforeach()
endfunction()

# folders_quick_to_compile(target folders...): of a library the sources in these folders beside its CMakeLists.txt.
function(folders_quick_to_compile target)
  if(NOT PREGATE_QUICK_OPTIONS)
    return()
  endif()
  list(JOIN ARGN "|" folders)
  get_target_property(sources ${target} SOURCES)
  set(quick ${sources})
  list(FILTER quick INCLUDE REGEX "^(${folders})/")
  list(FILTER sources EXCLUDE REGEX "^(${folders})/")
  set_target_properties(${target} PROPERTIES SOURCES "${sources}")
  add_library(${target}_quick OBJECT ${quick})
  foreach(property INCLUDE_DIRECTORIES COMPILE_DEFINITIONS COMPILE_OPTIONS)
    set_property(TARGET ${target}_quick PROPERTY ${property} $<TARGET_PROPERTY:${target},${property}>)
  endforeach()
  target_compile_options(${target}_quick PRIVATE ${PREGATE_QUICK_OPTIONS})
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_quick>)
endfunction()

# looks_at_no_raw_memory(targets...): optimised, as tests spend their time there, and with the fewer checks.
function(looks_at_no_raw_memory)
  foreach(target IN LISTS ARGN)
    target_compile_options(${target} PRIVATE ${PREGATE_FEWER_CHECKS})
  endforeach()
endfunction()
