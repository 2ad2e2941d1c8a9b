# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Writes schedules of runs on four GPUs to FOLDER: cmake -DPROGRAM=pregate -DFOLDER=... -P group_schedules.cmake
# Their copies share the host's memory, which carries less than the four links together.
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
set(common --model olmoe-1b-7b --machine rtx4090-pcie4 --set machine.host.memory_bandwidth=40GB/s --record-steps 6
    --prompt 8 --output 8 --cache 30%)
set(stages --pp 4)
set(experts --ep 4)
set(routed --dp 4 --ep 4 --set parallel.tokens=route --batch 4)
set(both --pp 2 --ep 2)
foreach(kind stages experts routed both)
  foreach(policy on-demand-cache pre-gated-cache)
    execute_process(COMMAND ${PROGRAM} simulate ${common} ${${kind}} --policy ${policy}
      --schedule ${FOLDER}/${kind}-${policy}.json RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE errors)
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "${kind}, ${policy}: ${errors}")
    endif()
  endforeach()
endforeach()
