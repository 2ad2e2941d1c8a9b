// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/sweep/store.hpp"

namespace pregate::sim {

std::vector<PolicySummary> SweepStore::summary() const {
  std::vector<PolicySummary> all;
  trace::Statement policies(database_,
                            "SELECT policy, count(*), sum(status = 'out-of-memory'), sum(status = 'refused'),"
                            " min(tokens_per_s), max(tokens_per_s) FROM points GROUP BY policy"
                            " ORDER BY min(point)");
  trace::Statement best(database_,
                        "SELECT settings FROM points WHERE policy = ? AND tokens_per_s = ?"
                        " ORDER BY point LIMIT 1");
  while (policies.step()) {
    PolicySummary each{.policy = policies.text(0),
                       .points = policies.integer(1),
                       .out_of_memory = policies.integer(2),
                       .refused = policies.integer(3),
                       .least = policies.real(4),
                       .most = policies.real(5),
                       .best = {}};
    if (!policies.is_null(5)) {
      best.bind(1, each.policy);
      best.bind(2, each.most);
      if (best.step()) each.best = best.text(0);
      best.reset();
    }
    all.push_back(std::move(each));
  }
  return all;
}

bool SweepStore::is_the_same_along(std::int64_t stride, std::int64_t values) const {
  trace::Statement ran(database_, "SELECT 1 FROM points WHERE status = 'ok' LIMIT 1");
  if (!ran.step()) return false;
  std::string differ = "a.status IS NOT b.status";
  for (const std::string& column : sweep_columns())
    differ += " OR a.\"" + column + "\" IS NOT b.\"" + column + "\"";
  const std::string step = std::to_string(stride), last = std::to_string(values - 1);
  trace::Statement other(database_, "SELECT 1 FROM points a JOIN points b ON b.point = a.point + " + step +
                                        " WHERE a.point / " + step + " % " + std::to_string(values) + " < " +
                                        last + " AND (" + differ + ") LIMIT 1");
  return !other.step();
}

}  // namespace pregate::sim
