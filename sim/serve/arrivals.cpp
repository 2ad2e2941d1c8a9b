// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/arrivals.hpp"

#include <cmath>
#include <string>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

constexpr double most_seconds = 9e6;  // virtual time ends after 106 days, 9.2e6 s

}  // namespace

Picoseconds Arrivals::next(const trace::Step& first_of_request) {
  const std::string request = "request " + std::to_string(first_of_request.request);
  if (per_s_ > 0) {
    // Inverse of the exponential distribution, of 53 uniform bits above 0.
    const double uniform = (static_cast<double>(random_.next() >> 11U) + 1) * 0x1p-53;
    if (any_) seconds_ -= std::log(uniform) / per_s_;
  } else if (first_of_request.arrival_ns >= 0) {
    if (!any_) first_ns_ = first_of_request.arrival_ns;
    seconds_ = static_cast<double>(first_of_request.arrival_ns - first_ns_) * 1e-9;
  }
  any_ = true;
  if (!(seconds_ < most_seconds)) {
    throw InputError("trace", request + " arrives more than 104 days after the first",
                     "raise serve.arrivals_per_s (--arrival-rate), or simulate fewer requests");
  }
  // Whole nanoseconds: no last digit of a logarithm decides anything.
  const Picoseconds time{std::llround(seconds_ * 1e9) * 1000};
  if (time < last_) {
    throw InputError("trace", request + " arrives before the one in front of it",
                     "requests stand in the order of their arrival, or --arrival-rate says when they come");
  }
  return last_ = time;
}

}  // namespace pregate::sim
