# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Schedules that the program writes, of whole policies, replayed by SimGrid (tests/schedule/simgrid.cmake).
set(folder ${CMAKE_CURRENT_BINARY_DIR}/schedules)
file(MAKE_DIRECTORY ${folder})

function(pregate_exported_schedule name)
  if(NOT "--requests" IN_LIST ARGN)
    list(APPEND ARGN --requests 1)
  endif()
  add_test(NAME cli.export_schedule.${name}
    COMMAND pregate_cli simulate --record-steps 8 --schedule ${folder}/${name}.json ${ARGN})
  set_tests_properties(cli.export_schedule.${name} PROPERTIES FIXTURES_SETUP cli_schedules TIMEOUT 120)
endfunction()

pregate_exported_schedule(on-demand --policy on-demand)
pregate_exported_schedule(prefetch-all --policy prefetch-all)
pregate_exported_schedule(pre-gated-cache --policy pre-gated-cache --cache 10%)
pregate_exported_schedule(demand-first --policy pre-gated --profile mixtral-8x7b --machine rtx4090-pcie4
  --set policy.transfer.queue=demand-first --set policy.transfer.chunk=16MiB)
# Four GPUs whose copies share the host's memory, which carries less than their links together.
set(four --model olmoe-1b-7b --machine rtx4090-pcie4 --set machine.host.memory_bandwidth=40GB/s --prompt 8 --output 8
    --cache 30%)
pregate_exported_schedule(stages --policy pre-gated-cache --pp 4 ${four})
pregate_exported_schedule(whole-experts --policy on-demand-cache --ep 4 ${four})
pregate_exported_schedule(routed-tokens --policy on-demand-cache --dp 4 --ep 4 --set parallel.tokens=route ${four})
pregate_exported_schedule(stages-of-two --policy pre-gated-cache --pp 2 --ep 2 ${four})
pregate_exported_schedule(stages-of-two-linked --policy on-demand-cache --pp 2 --ep 2
  --set machine.link.peer.bandwidth=50GB/s ${four})
pregate_exported_schedule(parts --policy on-demand-cache --tp 4 ${four})
pregate_exported_schedule(followed-tokens --policy on-demand-cache --dp 4 --ep 4 --set parallel.tokens=follow
  --requests 4 --batch 4 ${four})
pregate_exported_schedule(served-in-stages --policy on-demand-cache --pp 4 --batcher continuous --batch 2 --requests 4
  --set serve.prompts=beside ${four})
pregate_exported_schedule(placed-anew --policy gpu-only --ep 4 --set parallel.redundant=4
  --set parallel.rebalance_every=2 --requests 4 --batch 4 --model olmoe-1b-7b --machine rtx4090-pcie4 --prompt 8
  --output 8)
pregate_exported_schedule(beside-near-data --policy monde --ep 4 --set machine.near_data.memory=64GB
  --set machine.near_data.memory_bandwidth=64GB/s ${four})
pregate_exported_schedule(cut-with-kv-on-host --policy klotski --pp 2 --tp 2 --requests 4 --batch 4 ${four})
# The CPU computes what is on none of the four.
pregate_exported_schedule(stages-beside-cpu --policy llama-cpp-ncmoe --set policy.placement.count=2 --pp 4
  --model olmoe-1b-7b --machine rtx4090-pcie4 --set machine.host.memory_bandwidth=40GB/s --prompt 8 --output 8)
pregate_exported_schedule(cut-with-own-requests --policy on-demand-cache --set policy.compute.micro_batches=2 --dp 4
  --ep 4 --set parallel.tokens=route --requests 8 --batch 8 ${four})
pregate_exported_schedule(own-requests-beside-cpu --policy experts-on-cpu --dp 4 --ep 4 --set parallel.tokens=route
  --requests 4 --batch 4 --model olmoe-1b-7b --machine rtx4090-pcie4 --set machine.host.memory_bandwidth=40GB/s
  --prompt 8 --output 8)
pregate_exported_schedule(heads-beside-cpu --policy on-demand-cache --set policy.kv_cache.memory=host
  --set policy.kv_cache.attention=cpu --tp 4 ${four})
pregate_exported_schedule(waits-for-all-copies --policy prefetch-all --set policy.compute.micro_batches=2
  --set policy.compute.synchronized=micro-batch --tp 2 --pp 2 --requests 4 --batch 4 --model olmoe-1b-7b
  --machine rtx4090-pcie4 --set machine.host.memory_bandwidth=40GB/s --prompt 8 --output 8)
# One GPU, whose copies serve all parts of a pass.
pregate_exported_schedule(micro-batches --policy on-demand-cache --set policy.compute.micro_batches=4 --requests 4
  --batch 4 ${four})

if(TARGET simgrid_replay)
  add_test(NAME cli.simgrid_replay COMMAND simgrid_replay ${folder})
else()
  add_test(NAME cli.simgrid_replay COMMAND ${CMAKE_COMMAND} -E echo
    "SKIPPED: SimGrid (libsimgrid-dev) was absent when the tests were configured; no independent engine was asked")
  set_tests_properties(cli.simgrid_replay PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED")
endif()
set_tests_properties(cli.simgrid_replay PROPERTIES FIXTURES_REQUIRED cli_schedules TIMEOUT 300)
