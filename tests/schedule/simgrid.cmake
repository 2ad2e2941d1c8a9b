# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# An independent engine: schedules written by make_schedules are replayed by SimGrid, which must find the same times.
# Debian's libsimgrid-dev has no CMake package, so header and library are looked for directly.
find_package(nlohmann_json REQUIRED)
find_package(Boost REQUIRED)  # SimGrid's headers use Boost.Intrusive
find_path(SIMGRID_INCLUDE_DIR simgrid/s4u.hpp)
find_library(SIMGRID_LIBRARY simgrid)

set(schedules ${CMAKE_CURRENT_BINARY_DIR}/schedules)
add_executable(make_schedules make_schedules.cpp random_schedule.cpp)
target_link_libraries(make_schedules PRIVATE pregate_engine pregate_warnings)
target_include_directories(make_schedules PRIVATE ${PROJECT_SOURCE_DIR})
add_test(NAME simgrid.make_schedules COMMAND make_schedules ${schedules})
set_tests_properties(simgrid.make_schedules PROPERTIES FIXTURES_SETUP simgrid_schedules TIMEOUT 120)

if(SIMGRID_INCLUDE_DIR AND SIMGRID_LIBRARY)
  add_executable(simgrid_replay simgrid_replay.cpp)
  target_link_libraries(simgrid_replay PRIVATE pregate_schedule pregate_warnings ${SIMGRID_LIBRARY})
  target_include_directories(simgrid_replay PRIVATE ${PROJECT_SOURCE_DIR})
  target_include_directories(simgrid_replay SYSTEM PRIVATE ${SIMGRID_INCLUDE_DIR} ${Boost_INCLUDE_DIRS})
  add_test(NAME simgrid.replay COMMAND simgrid_replay ${schedules})
  # Runs of the simulator on four GPUs that share the host's memory.
  set(group_schedules ${CMAKE_CURRENT_BINARY_DIR}/group_schedules)
  add_test(NAME simgrid.make_group_schedules COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:pregate_cli>
    -DFOLDER=${group_schedules} -P ${CMAKE_CURRENT_SOURCE_DIR}/group_schedules.cmake)
  set_tests_properties(simgrid.make_group_schedules PROPERTIES FIXTURES_SETUP group_schedules TIMEOUT 120)
  add_test(NAME simgrid.replay_several_gpus COMMAND simgrid_replay ${group_schedules})
  set_tests_properties(simgrid.replay_several_gpus PROPERTIES FIXTURES_REQUIRED group_schedules TIMEOUT 300)
  # A wrong time in a file must be noticed, or agreement would mean nothing.
  add_test(NAME simgrid.replay_notices_wrong_times COMMAND simgrid_replay ${schedules}/wrong)
  set_tests_properties(simgrid.replay_notices_wrong_times PROPERTIES
    PASS_REGULAR_EXPRESSION "DISAGREES.*wrong_finish" FIXTURES_REQUIRED simgrid_schedules TIMEOUT 120)
else()
  message(WARNING
    "SimGrid was not found (Debian package libsimgrid-dev): the engine is NOT compared with an independent one; "
    "the test simgrid.replay will be reported as skipped.")
  add_test(NAME simgrid.replay COMMAND ${CMAKE_COMMAND} -E echo
    "SKIPPED: SimGrid (libsimgrid-dev) was absent when the tests were configured; no independent engine was asked")
  set_tests_properties(simgrid.replay PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED")
endif()
set_tests_properties(simgrid.replay PROPERTIES FIXTURES_REQUIRED simgrid_schedules TIMEOUT 300)
