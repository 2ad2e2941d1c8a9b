# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# cmake --install into a prefix, then configure, build and run consumer/ against it.
set(prefix ${FOLDER}/prefix)
file(REMOVE_RECURSE ${prefix} ${FOLDER}/build)

include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} --config "${CONFIGURATION}")

# Nothing of the build may leak into the package: no path of this machine, no target of the project's own.
file(GLOB_RECURSE package ${prefix}/*.cmake)
if(NOT package)
  message(FATAL_ERROR "no CMake package was installed")
endif()
foreach(file IN LISTS package)
  file(READ ${file} text)
  foreach(leak IN ITEMS ${SOURCE} ${BUILD} pregate_warnings nlohmann)
    string(FIND "${text}" "${leak}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${file} mentions ${leak}")
    endif()
  endforeach()
endforeach()

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${FOLDER}/build -G ${GENERATOR}
    -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${prefix}
    -DCMAKE_BUILD_TYPE=${CONFIGURATION} -DWANTED_VERSION=${VERSION})
run(${CMAKE_COMMAND} --build ${FOLDER}/build --config "${CONFIGURATION}")
run(${FOLDER}/build/consumer)
if(NOT output MATCHES "on-demand: [0-9.]+ tokens/s\n.*pre-gated: [0-9.]+ tokens/s\n")
  message(FATAL_ERROR "the consumer printed:\n${output}")
endif()
message(STATUS "${output}")

run(${prefix}/bin/pregate --version)
if(NOT output STREQUAL "pregate ${VERSION}\n")
  message(FATAL_ERROR "the installed program printed:\n${output}")
endif()

# It finds its modules where they were installed: beside it there are none.
run(${CMAKE_COMMAND} -E env --unset=PREGATE_MODULES ${prefix}/bin/pregate execute --device host
    --model ${CMAKE_CURRENT_LIST_DIR}/small.toml --prompt 4 --output 2 --policy on-demand)
if(NOT output MATCHES "measured on host device")
  message(FATAL_ERROR "the installed program printed:\n${output}")
endif()
