// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/answers.hpp"

#include <algorithm>
#include <stdexcept>

namespace pregate::runtime {

using About = Answers::About;

Picoseconds AnswersRecorded::wait(sim::OpId operation) {
  const Picoseconds now = inner_.wait(operation);
  answers_.all.push_back({About::wait, operation, now.count});
  return now;
}

bool AnswersRecorded::is_done(sim::OpId operation) const {
  const bool done = inner_.is_done(operation);
  answers_.all.push_back({About::is_done, operation, done ? 1 : 0});
  return done;
}

Picoseconds AnswersRecorded::backlog(sim::StreamId stream) const {
  const Picoseconds left = inner_.backlog(stream);
  answers_.all.push_back({About::backlog, static_cast<std::int64_t>(stream), left.count});
  return left;
}

bool AnswersRecorded::cancel(sim::OpId copy) {
  const bool cancelled = inner_.cancel(copy);
  answers_.all.push_back({About::cancel, copy, cancelled ? 1 : 0});
  return cancelled;
}

AnswersReplayed::AnswersReplayed(sim::Executor& inner, const Answers& answers)
    : inner_(inner), answers_(answers) {
  for (const Answers::Answer& answer : answers.all) {
    if (answer.about == About::cancel && answer.value != 0) taken_back_.push_back(answer.of);
  }
  std::sort(taken_back_.begin(), taken_back_.end());
}

void AnswersReplayed::run(const sim::LayerProgram& program) {
  inner_.run(program);
  for (; next_taken_back_ < taken_back_.size() && taken_back_[next_taken_back_] < program.next_id();
       ++next_taken_back_) {
    if (!inner_.cancel(taken_back_[next_taken_back_]))
      throw std::logic_error("a copy started before the planner could issue what follows it");
  }
}

Picoseconds AnswersReplayed::wait(sim::OpId operation) {
  inner_.wait(operation);
  return {next(About::wait, operation)};
}

std::int64_t AnswersReplayed::next(About about, std::int64_t of) const {
  if (at_ == answers_.all.size() || answers_.all[at_].about != about || answers_.all[at_].of != of)
    throw std::logic_error("the planner asks another question than in the run whose answers it is given");
  return answers_.all[at_++].value;
}

}  // namespace pregate::runtime
