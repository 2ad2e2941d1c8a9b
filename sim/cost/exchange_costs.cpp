// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What GPUs that share layers send each other at once: docs/collectives.md.
#include "sim/cost/cost_model.hpp"

namespace pregate::sim {

namespace {

Collective collective_of(Exchange exchange) {
  switch (exchange) {
    case Exchange::all_gather:
      return Collective::all_gather;
    case Exchange::reduce_scatter:
      return Collective::reduce_scatter;
    case Exchange::all_to_all:
      return Collective::all_to_all;
    case Exchange::none:
    case Exchange::all_reduce:
      break;
  }
  return Collective::all_reduce;
}

}  // namespace

const CollectiveTimes& CostModel::collectives() const {
  if (!collectives_) collectives_ = std::make_unique<CollectiveTimes>(machine_);
  return *collectives_;
}

Picoseconds CostModel::exchange(const Meeting& meeting) const {
  if (meeting.exchange == Exchange::none || meeting.gpus < 2 ||
      (meeting.bytes.count == 0 && meeting.between_hosts.count <= 0))
    return {};
  const bool is_vllm = machine_.overhead.kernel_library == KernelLibrary::vllm;
  CollectiveCall call{.kind = collective_of(meeting.exchange),
                      .bytes = meeting.bytes,
                      .gpus = meeting.gpus,
                      .lanes = meeting.lanes,
                      .library = is_vllm ? CollectiveLibrary::vllm : CollectiveLibrary::nccl,
                      .launch = CollectiveLaunch::graph};
  // What was measured launched one by one was launched by that library.
  if (is_vllm && !is_replayed()) call.launch = CollectiveLaunch::eager;
  if (meeting.exchange == Exchange::all_to_all && meeting.between_hosts.count >= 0) {
    return collectives().all_to_all({meeting.bytes, meeting.between_hosts}, meeting.gpus,
                                    meeting.is_flat ? AllToAllWay::flat : AllToAllWay::hierarchical,
                                    call.launch);
  }
  // A collective's buffer has what a GPU keeps as well: of p parts that are alike one.
  if (meeting.exchange == Exchange::all_to_all)
    call.bytes = Bytes{meeting.bytes.count * meeting.gpus / (meeting.gpus - 1)};
  return collectives().time(call);
}

}  // namespace pregate::sim
