// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/event_engine.hpp"

namespace pregate::sim {

Timeline run(const Schedule& schedule) {
  EventEngine engine(schedule.platform);
  const auto count = static_cast<OpId>(schedule.size());
  for (OpId id = 0; id < count; ++id) engine.submit(schedule.operation(id), schedule.dependencies(id));
  engine.run();
  Timeline timeline;
  timeline.start.reserve(schedule.size());
  timeline.finish.reserve(schedule.size());
  for (OpId id = 0; id < count; ++id) {
    timeline.start.push_back(engine.start(id));
    timeline.finish.push_back(engine.finish(id));
  }
  return timeline;
}

}  // namespace pregate::sim
