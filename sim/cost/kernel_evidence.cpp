// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/kernel_evidence.hpp"

#include <algorithm>
#include <cstdio>

#include "models/fields/choices.hpp"
#include "sim/cost/layer_kernels.hpp"

namespace pregate::sim {

std::optional<KernelEvidence> kernel_evidence(const ModelSpec& model, const MachineSpec& machine) {
  if (machine.overhead.kernel_library == KernelLibrary::none) return std::nullopt;
  const GpuKernelTimes gpu = kernel_times_of(machine);
  KernelEvidence evidence{name_of(machine.overhead.kernel_library), gpu.source(), gpu.measured_on(), {}, {}};
  const auto use = [&](const KernelChoice& kernel) {
    const bool known =
        std::any_of(evidence.used.begin(), evidence.used.end(), [&](const KernelEvidence::Used& each) {
          return each.family == kernel.family && each.format == kernel.asked && each.dtype == kernel.dtype;
        });
    if (known) return;
    evidence.used.push_back(
        {kernel.family, kernel.asked, kernel.dtype,
         kernel.measured ? gpu.expected_error(kernel.family, kernel.dtype) : std::optional<double>{}});
  };
  const auto use_both = [&](const Product& product) {
    use(product.kernel);
    if (product.few) use(*product.few);
  };
  for (const Stack& stack : model.stacks) {
    for (const LayerProfile& profile : model.profile(stack)) {
      const LayerKernels layer = layer_kernels(model, stack, profile, gpu);
      for (const auto* products : {&layer.projections, &layer.router, &layer.feed_forward}) {
        for (const Product& product : *products) use_both(product);
      }
      for (const auto* kernel :
           {&layer.decode, &layer.prefill, &layer.conv_decode, &layer.conv_prefill, &layer.experts}) {
        if (*kernel) use(**kernel);
      }
      const std::string mixer = to_string(layer.mixer.kind);
      const bool measured = layer.scores != LayerKernels::Scores::none || layer.mixer.kind == MixerKind::none;
      auto& rooflines = evidence.rooflines;
      if (!measured && std::find(rooflines.begin(), rooflines.end(), mixer) == rooflines.end())
        rooflines.push_back(mixer);
    }
  }
  use_both(head_kernel(model, gpu));
  return evidence;
}

std::string kernel_note(const KernelEvidence& evidence) {
  std::string note = "kernel times: " + evidence.whose + "'s, " +
                     (evidence.source == KernelSource::measured
                          ? "measured on this GPU"
                          : "by kin: as shares of this GPU's peaks, measured on another") +
                     " (" + evidence.measured_on + "); errors to expect, median: ";
  for (std::size_t i = 0; i < evidence.used.size(); ++i) {
    const KernelEvidence::Used& used = evidence.used[i];
    std::string error = "unknown";
    if (used.error) {
      char text[32];
      std::snprintf(text, sizeof text, "%.0f %%", 100 * *used.error);
      error = text;
    }
    note += (i == 0 ? "" : ", ") + std::string(to_string(used.family)) + " " + used.format +
            (used.dtype == used.format || used.format == "fp16" ? "" : " (as " + used.dtype + ")") + " " +
            error;
  }
  for (std::size_t i = 0; i < evidence.rooflines.size(); ++i)
    note +=
        (i == 0 ? "; by rooflines: what is done over the cache in layers of " : ", ") + evidence.rooflines[i];
  return note;
}

}  // namespace pregate::sim
