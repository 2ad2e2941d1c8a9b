// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/event_executor.hpp"

namespace pregate::sim {

void EventExecutor::begin_pass(const PassInfo& pass) {
  prices_.begin_pass(pass.shape, pass.micro_batches);
  ledger_.begin_step(pass.number, pass.shape.model_stack, pass.shape.tokens);
}

void EventExecutor::run(const LayerProgram& program) {
  for (const Work& work : program.work()) {
    for_each_operation(work, program, prices_, names_,
                       [&](const Entry& entry, const Price& price, std::span<const OpId> others,
                           std::span<const OpId> copies) {
                         const Operation& operation = ledger_.add(entry, price, others, copies);
                         engine_.submit(operation, ledger_.dependencies());
                       });
  }
  for (const LayerProgram::Block& block : program.blocks()) ledger_.record_block(block.first, block.last);
}

Picoseconds EventExecutor::wait(OpId operation) {
  engine_.run_until(operation);
  return engine_.now();
}

bool EventExecutor::cancel(OpId copy) {
  if (engine_.is_done(copy) || !engine_.make_empty(copy)) return false;
  ledger_.make_empty(copy);
  return true;
}

void EventExecutor::idle_until(Picoseconds time) {
  engine_.run_until(time);
  settle();  // what ended meanwhile; then the GPU has waited
  ledger_.idle_until(time);
}

Picoseconds EventExecutor::end_pass(OpId last) {
  engine_.run_until(last);
  const Picoseconds end = engine_.finish(last);
  ledger_.keep(last);
  settle();
  return end;
}

void EventExecutor::finish() {
  engine_.run();
  settle();
}

void EventExecutor::settle() {
  ledger_.settle([&](OpId id) { return engine_.is_done(id); },
                 [&](OpId id) {
                   return Ledger::Times{engine_.start(id), engine_.finish(id)};
                 });
  engine_.forget_before(ledger_.oldest());
}

}  // namespace pregate::sim
