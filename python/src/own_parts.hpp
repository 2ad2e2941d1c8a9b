// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "python/src/running.hpp"
#include "sim/parts/parts.hpp"
#include "sim/policy/policy_fields.hpp"

namespace pregate::python {

/// A decision point as a callback sees it. What a callback is handed may be asked during that call alone, and
/// says so afterwards.
class MomentView {
 public:
  void lend(const sim::Moment& moment) { at_ = &moment; }
  void take_back() { at_ = nullptr; }
  /// InputError after the call.
  [[nodiscard]] const sim::Moment& get() const;
  /// InputError where the part did not say that it needs the clock.
  [[nodiscard]] const sim::Moment& timed() const;
  /// InputError on a device, which has none.
  [[nodiscard]] const sim::Estimates& estimates() const;

 private:
  const sim::Moment* at_ = nullptr;
};

/// One object of Python's that is lent for each call of a part.
template <class View>
class Handed {
 public:
  /// To be called with the lock.
  void make() {
    nanobind::object object = nanobind::cast(View());
    view_ = nanobind::inst_ptr<View>(object);
    object_ = held(std::move(object));
  }
  [[nodiscard]] const nanobind::object& object() const { return *object_; }

  class Lent {
   public:
    template <class... What>
    explicit Lent(const Handed& handed, What&... what) : view_(*handed.view_) {
      view_.lend(what...);
    }
    ~Lent() { view_.take_back(); }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;

   private:
    View& view_;
  };

 private:
  Held object_;
  View* view_ = nullptr;
};

/// A whole number of Python's, NumPy's included; TypeError for others.
std::int64_t whole_number(nanobind::handle value);

/// The key of expert `expert` of MoE layer `layer`; InputError at `where` when there is none.
sim::ExpertKey key_of(const sim::ExpertMap& map, int layer, nanobind::handle expert,
                      const std::string& where);

/// The same of each that `experts` iterates over.
void keys_of(const sim::ExpertMap& map, int layer, nanobind::handle experts, const std::string& where,
             std::vector<sim::ExpertKey>& keys);

/// Experts of the layer as whole numbers.
nanobind::list experts_of(const sim::ExpertMap& map, int layer, std::span<const sim::ExpertKey> keys);

template <class Number>
nanobind::list list_of(std::span<const Number> numbers) {
  nanobind::list all;
  for (const Number number : numbers) all.append(number);
  return all;
}

/// InputError after the call that was given something.
[[noreturn]] void fail_after_call(const std::string& what);

/// Adds an own part under its name, and what keys of policies it may stand for.
template <class Entry>
void add_part(Entry entry) {
  sim::add_own_part(std::move(entry));
  describe_own_parts();
}

void bind_predictors(nanobind::module_& module);
void bind_prefetchers(nanobind::module_& module);
void bind_miss_services(nanobind::module_& module);

}  // namespace pregate::python
