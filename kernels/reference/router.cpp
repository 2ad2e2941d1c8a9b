// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "kernels/check.hpp"
#include "kernels/reference.hpp"

namespace pregate::kernels::reference {
namespace {

template <class Element>
double logit_of(Element stored) {
  const auto logit = static_cast<double>(to_float(stored));
  return std::isnan(logit) ? -std::numeric_limits<double>::infinity() : logit;
}

/// exp(logit - largest), and 1 for the largest itself when it is infinite.
double share(double logit, double largest) { return logit == largest ? 1.0 : std::exp(logit - largest); }

struct Choice {
  double logit = std::numeric_limits<double>::infinity();
  std::int32_t expert = -1;
};

/// Larger logits first, then lower experts.
bool comes_before(const Choice& a, const Choice& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.expert < b.expert);
}

/// The first choice in that order after `previous`; the default Choice comes before all.
template <class Element>
Choice next_choice(const Element* logits, std::int32_t experts, const Choice& previous) {
  Choice best{-std::numeric_limits<double>::infinity(), experts};
  for (std::int32_t expert = 0; expert < experts; ++expert) {
    const Choice candidate{logit_of(logits[expert]), expert};
    if (comes_before(previous, candidate) && comes_before(candidate, best)) best = candidate;
  }
  return best;
}

template <class Element>
void route_token(const RouterArgs<Element>& args, std::int64_t token) {
  const Element* logits = args.logits + token * args.experts;
  std::int32_t* ids = args.expert_ids + token * args.top_k;
  float* weights = args.gate_weights + token * args.top_k;

  Choice choice;
  for (std::int32_t k = 0; k < args.top_k; ++k) {
    choice = next_choice(logits, args.experts, choice);
    ids[k] = choice.expert;
  }
  const double largest = logit_of(logits[ids[0]]);
  double sum = 0;
  if (args.weights == GateWeights::softmax) {
    for (std::int32_t expert = 0; expert < args.experts; ++expert)
      sum += share(logit_of(logits[expert]), largest);
  } else {
    for (std::int32_t k = 0; k < args.top_k; ++k) sum += share(logit_of(logits[ids[k]]), largest);
  }
  for (std::int32_t k = 0; k < args.top_k; ++k)
    weights[k] = static_cast<float>(share(logit_of(logits[ids[k]]), largest) / sum);
}

}  // namespace

template <class Element>
void router(const RouterArgs<Element>& args) {
  check(args);
  for (std::int64_t token = 0; token < args.tokens; ++token) route_token(args, token);
}

template void router(const RouterArgs<float>&);
template void router(const RouterArgs<Float16>&);
template void router(const RouterArgs<BFloat16>&);

}  // namespace pregate::kernels::reference
