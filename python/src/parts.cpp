// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What parts of the user's own have in common: moments, experts, names.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "models/error.hpp"
#include "python/src/bindings.hpp"
#include "python/src/own_parts.hpp"

namespace nb = nanobind;

namespace pregate::python {

void fail_after_call(const std::string& what) {
  throw InputError(what, "can be asked only during the call that was given it",
                   "keep what it says, not the object");
}

const sim::Moment& MomentView::get() const {
  if (at_ == nullptr) fail_after_call("moment");
  return *at_;
}

const sim::Moment& MomentView::timed() const {
  if (get().clock == nullptr)
    throw InputError("moment", "this part asks the clock", "register it with needs_clock=True");
  return *at_;
}

const sim::Estimates& MomentView::estimates() const {
  if (get().estimates == nullptr) throw InputError("moment", "nothing says what work will take here");
  return *at_->estimates;
}

std::int64_t whole_number(nb::handle value) {
  const Py_ssize_t number = PyNumber_AsSsize_t(value.ptr(), PyExc_OverflowError);
  if (number == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
  return number;
}

sim::ExpertKey key_of(const sim::ExpertMap& map, int layer, nb::handle expert, const std::string& where) {
  if (layer < 0 || layer >= static_cast<int>(map.layers().size())) {
    throw InputError(where, std::to_string(layer) + " is no MoE layer",
                     "0 to " + std::to_string(map.layers().size() - 1));
  }
  const sim::MoeLayer& its = map.layers()[static_cast<std::size_t>(layer)];
  const std::int64_t index = whole_number(expert);
  if (index < 0 || index >= its.experts) {
    throw InputError(where, "layer " + std::to_string(layer) + " has no expert " + std::to_string(index),
                     "0 to " + std::to_string(its.experts - 1));
  }
  return its.first_key + static_cast<sim::ExpertKey>(index);
}

void keys_of(const sim::ExpertMap& map, int layer, nb::handle experts, const std::string& where,
             std::vector<sim::ExpertKey>& keys) {
  keys.clear();
  for (const nb::handle expert : nb::iter(experts)) keys.push_back(key_of(map, layer, expert, where));
}

nb::list experts_of(const sim::ExpertMap& map, int layer, std::span<const sim::ExpertKey> keys) {
  const sim::ExpertKey first = map.layers().at(static_cast<std::size_t>(layer)).first_key;
  nb::list all;
  for (const sim::ExpertKey key : keys) all.append(key - first);
  return all;
}

namespace {

std::int64_t backlog(const MomentView& view, const std::string& of) {
  const sim::Moment& moment = view.timed();
  if (of == "link") return moment.backlog(moment.fetches).count;
  if (of == "cpu") return moment.backlog(moment.cpu).count;
  throw InputError("moment.backlog_ps", "'" + printable(of) + "' is neither 'link' nor 'cpu'");
}

void bind_moment(nb::module_& module) {
  nb::class_<MomentView>(module, "Moment", "A decision point: the ids of a MoE layer are known.")
      .def_prop_ro(
          "layer", [](const MomentView& view) { return view.get().ordinal; },
          "The MoE layer, counted from 0 over all stacks.")
      .def_prop_ro(
          "decode", [](const MomentView& view) { return view.get().decode; },
          "A decode pass; otherwise of a prompt or an encoder.")
      .def_prop_ro(
          "tokens", [](const MomentView& view) { return view.get().tokens; }, "Of the pass.")
      .def_prop_ro(
          "activated", [](const MomentView& view) { return view.get().activated; }, "Experts of the layer.")
      .def_prop_ro(
          "routed", [](const MomentView& view) { return view.get().routed; }, "Tokens times experts.")
      .def_prop_ro(
          "now_ps", [](const MomentView& view) { return view.timed().now.count; },
          "Picoseconds since the run began; of parts that need the clock.")
      .def("backlog_ps", &backlog, nb::arg("of"),
           "Picoseconds of work that 'link' or 'cpu' has still to do; of parts that need the clock.")
      .def_prop_ro(
          "fetch_ps", [](const MomentView& view) { return view.estimates().fetch().count; },
          "Estimate: all copies of one expert on an idle link, picoseconds.")
      .def(
          "on_cpu_ps",
          [](const MomentView& view, std::int64_t experts, std::uint32_t routed) -> std::int64_t {
            if (experts < 1) return 0;
            return view.estimates().on_cpu(view.get().layer_class, experts, routed).count;
          },
          nb::arg("experts"), nb::arg("routed"),
          "Estimate: so many experts of the layer with `routed` tokens in all on the CPU, picoseconds.")
      .def(
          "on_gpu_ps",
          [](const MomentView& view, std::uint32_t tokens) -> std::int64_t {
            return view.estimates().on_gpu(view.get().layer_class, tokens).count;
          },
          nb::arg("tokens"),
          "Estimate: one expert of the layer with so many tokens on the GPU, in a kernel that runs anyway.")
      .def(
          "between_gates_ps",
          [](const MomentView& view) -> std::int64_t {
            const sim::Moment& moment = view.get();
            return view.estimates().between_gates(moment.layer_class, moment.activated, moment.routed).count;
          },
          "Estimate: from these ids to those of the next layer like it if nobody waits for copies.");
}

template <class Registry>
std::vector<std::string> names_of(const Registry& registry) {
  std::vector<std::string> names;
  for (const auto& entry : registry.entries()) names.push_back(entry.name);
  return names;
}

}  // namespace

void bind_parts(nb::module_& module) {
  bind_moment(module);
  bind_predictors(module);
  bind_prefetchers(module);
  bind_miss_services(module);
  // What they hold of Python's must go before the interpreter does.
  module.def("forget_parts", &sim::release_own_parts);
  module.def("predictor_names", [] { return names_of(sim::built_in_parts().predictors); });
  module.def("prefetcher_names", [] { return names_of(sim::built_in_parts().prefetchers); });
  module.def("miss_service_names", [] { return names_of(sim::built_in_parts().miss_services); });
}

}  // namespace pregate::python
