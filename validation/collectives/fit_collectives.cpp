// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Fits the constants of models/catalog/collectives/*.toml and prints the errors on the fitted half:
// fit_collectives MEASUREMENTS CATALOGUE [judge]. Only with "judge" the judged half is looked at and what it
// says is written into the files.
#include <nlopt.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "validation/collectives/measured_collectives.hpp"

namespace pregate::validation {
namespace {

using Rows = std::vector<MeasuredCollective>;

struct Dimension {
  double start, least, most;
};

using Loss = std::function<double(const double*)>;

double call_loss(unsigned /*dimensions*/, const double* logarithms, double* /*gradient*/, void* loss) {
  return (*static_cast<const Loss*>(loss))(logarithms);
}

struct Minimum {
  std::vector<double> logarithms;
  double loss = HUGE_VAL;
};

/// Over logarithms of what the dimensions bound.
Minimum minimum_of(const std::vector<Dimension>& dimensions, Loss loss) {
  std::vector<double> start, least, most;
  for (const Dimension& each : dimensions) {
    start.push_back(std::log(each.start));
    least.push_back(std::log(each.least));
    most.push_back(std::log(each.most));
  }
  Minimum best{start};
  const auto descend = [&](nlopt_algorithm algorithm, std::vector<double> from) {
    const std::unique_ptr<nlopt_opt_s, void (*)(nlopt_opt)> optimiser(
        nlopt_create(algorithm, static_cast<unsigned>(start.size())), nlopt_destroy);
    nlopt_set_min_objective(optimiser.get(), call_loss, &loss);
    nlopt_set_lower_bounds(optimiser.get(), least.data());
    nlopt_set_upper_bounds(optimiser.get(), most.data());
    nlopt_set_initial_step1(optimiser.get(), 0.5);
    nlopt_set_ftol_rel(optimiser.get(), 1e-6);
    nlopt_set_maxeval(optimiser.get(), 3000);
    double value = HUGE_VAL;
    if (nlopt_optimize(optimiser.get(), from.data(), &value) > 0 && value < best.loss)
      best = {std::move(from), value};
  };
  descend(NLOPT_LN_SBPLX, start);
  for (int i = 0; i < 3; ++i) {
    descend(NLOPT_LN_NELDERMEAD, best.logarithms);
    descend(NLOPT_LN_SBPLX, best.logarithms);
  }
  return best;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

double log_error(const Rows& rows, const GpuCollectives& gpu) {
  double sum = 0;
  for (const MeasuredCollective& row : rows)
    sum += std::abs(std::log(
        sim::collective_time(row.kind, row.library, row.launch, row.bytes, row.gpus, gpu) / row.seconds));
  return sum / static_cast<double>(rows.size());
}

Rows rows_if(const Rows& rows, const std::function<bool(const MeasuredCollective&)>& wanted) {
  Rows some;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(some), wanted);
  return some;
}

/// Constants as their file gives them back. Where a switch is among them, the best of powers of two.
void fit_one(GpuCollectives& gpu, CollectiveKernels kernels, Collective kind, const Rows& rows) {
  CollectiveConstants& constants = gpu.fits.emplace_back(CollectiveFit{kernels, kind, {}, 0, 0, 0}).constants;
  std::vector<CollectiveConstant> free;
  bool switches = false;
  for (const CollectiveConstant& each : constants_of(kernels, gpu.links)) {
    if (each.member == &CollectiveConstants::switch_bytes) {
      switches = true;
    } else {
      free.push_back(each);
    }
  }
  std::vector<Dimension> dimensions;
  dimensions.reserve(free.size());
  for (const CollectiveConstant& each : free) dimensions.push_back({each.start, each.least, each.most});
  const auto set = [&](const double* logarithms) {
    for (std::size_t i = 0; i < free.size(); ++i)
      constants.*free[i].member = std::stod(number(std::exp(logarithms[i]))) * free[i].unit;
  };
  const auto loss = [&](const double* logarithms) {
    for (std::size_t i = 0; i < free.size(); ++i)
      constants.*free[i].member = std::exp(logarithms[i]) * free[i].unit;
    return log_error(rows, gpu);
  };
  Minimum best;
  double best_switch = 0;
  for (double bytes = 16 * 1024; bytes <= (switches ? 16.0 : 0) * 1024 * 1024 || best.loss == HUGE_VAL;
       bytes *= 2) {
    constants.switch_bytes = bytes;
    const Minimum found = minimum_of(dimensions, loss);
    if (found.loss < best.loss) best = found, best_switch = bytes;
  }
  constants.switch_bytes = best_switch;
  set(best.logarithms.data());
}

void fit_eager(GpuCollectives& gpu, const Rows& rows) {
  const bool shows_nccl = gpu.links == GpuLinks::pcie;
  const auto set = [&](const double* logarithms) {
    gpu.eager_s = std::stod(number(std::exp(logarithms[0]))) * 1e-6;
    gpu.eager_copy.value = std::stod(number(std::exp(logarithms[1]))) * 1e9;
    gpu.eager_nccl_s = shows_nccl ? std::stod(number(std::exp(logarithms[2]))) * 1e-6 : gpu.eager_s;
  };
  constexpr Dimension launch_us{20, 1, 500}, copy_gb_s{500, 10, 10'000};
  std::vector<Dimension> dimensions{launch_us, copy_gb_s};
  if (shows_nccl) dimensions.push_back(launch_us);
  const Minimum best = minimum_of(dimensions, [&](const double* logarithms) {
    set(logarithms);
    return log_error(rows, gpu);
  });
  set(best.logarithms.data());
}

void write(const std::string& path, const GpuCollectives& gpu) {
  std::ostringstream old;
  old << std::ifstream(path).rdbuf();
  std::string text = old.str();
  text.resize(std::min(text.size(), text.find("\neager_us")));
  text += "\neager_us = " + number(gpu.eager_s * 1e6) +
          "\neager_nccl_us = " + number(gpu.eager_nccl_s * 1e6) + "\neager_copy = \"" +
          number(gpu.eager_copy.value * 1e-9) + " GB/s\"\n";
  for (const CollectiveFit& fit : gpu.fits) {
    text += "\n[[collective]]\nkernels = \"" + std::string(to_string(fit.kernels)) + "\"\nkind = \"" +
            std::string(to_string(fit.kind)) + "\"\n";
    for (const CollectiveConstant& constant : constants_of(fit.kernels, gpu.links))
      text +=
          std::string(constant.name) + " = " + number(fit.constants.*constant.member / constant.unit) + '\n';
    text += "fitted_rows = " + std::to_string(fit.fitted_rows) +
            "\njudged_rows = " + std::to_string(fit.judged_rows) + "\nmape = " + number(fit.mape) + '\n';
  }
  std::ofstream(path) << text;
}

void fit_gpu(GpuCollectives& gpu, const Rows& all, bool judges) {
  const Rows fitted = rows_if(all, [](const MeasuredCollective& row) { return !row.judged; });
  gpu.fits.clear();
  const auto replayed = [&](Collective kind, CollectiveLibrary library, bool own) {
    return rows_if(fitted, [&](const MeasuredCollective& row) {
      const bool is_own =
          row.library == CollectiveLibrary::vllm && sim::is_own_all_reduce(row.bytes, row.gpus, gpu.links);
      return row.kind == kind && row.launch == CollectiveLaunch::graph && row.library == library &&
             is_own == own;
    });
  };
  for (const Collective kind : collectives())
    fit_one(gpu, CollectiveKernels::nccl, kind, replayed(kind, CollectiveLibrary::nccl, false));
  const Rows own = replayed(Collective::all_reduce, CollectiveLibrary::vllm, true);
  fit_one(gpu, CollectiveKernels::vllm, Collective::all_reduce, own);
  // Over NVLink only buffers beyond vLLM's own go to NCCL: too few to say anything about small messages.
  if (gpu.links == GpuLinks::pcie) {
    fit_one(gpu, CollectiveKernels::nccl_in_vllm, Collective::all_reduce,
            replayed(Collective::all_reduce, CollectiveLibrary::vllm, false));
  }
  fit_eager(gpu, rows_if(fitted, [](const MeasuredCollective& row) {
              return row.launch == CollectiveLaunch::eager;
            }));
  for (CollectiveFit& fit : gpu.fits) {
    const auto of_fit = [&](bool judged) {
      return rows_if(
          all, [&](const MeasuredCollective& row) { return row.judged == judged && is_of(row, fit, gpu); });
    };
    const Rows seen = of_fit(false);
    fit.fitted_rows = seen.size();
    std::printf("%-18s %-12s %-14s %3zu fitted %5.1f %%:", gpu.name.c_str(),
                std::string(to_string(fit.kernels)).c_str(), std::string(to_string(fit.kind)).c_str(),
                seen.size(), 100 * mean_error(seen, gpu));
    for (const int gpus : {2, 4, 8}) {
      const Rows some = rows_if(seen, [&](const MeasuredCollective& row) { return row.gpus == gpus; });
      std::printf(" %d: %4.1f %%", gpus, 100 * mean_error(some, gpu));
    }
    for (const CollectiveConstant& constant : constants_of(fit.kernels, gpu.links))
      std::printf(" %s %s", constant.name, number(fit.constants.*constant.member / constant.unit).c_str());
    std::printf("\n");
    if (!judges) continue;
    const Rows rest = of_fit(true);
    fit.judged_rows = rest.size();
    fit.mape = std::stod(number(mean_error(rest, gpu)));
  }
  std::printf("%-18s eager %s us, of NCCL %s us, copy %s GB/s; all fitted %.1f %%\n", gpu.name.c_str(),
              number(gpu.eager_s * 1e6).c_str(), number(gpu.eager_nccl_s * 1e6).c_str(),
              number(gpu.eager_copy.value * 1e-9).c_str(), 100 * mean_error(fitted, gpu));
}

int run(const std::string& measurements, const std::string& catalogue, bool judges) {
  for (const std::string& name : collective_gpu_names()) {
    GpuCollectives gpu = load_gpu_collectives(name);
    fit_gpu(gpu, read_measured_collectives(measurements + '/' + name), judges);
    if (judges) write(catalogue + '/' + name + ".toml", gpu);
  }
  return 0;
}

}  // namespace
}  // namespace pregate::validation

int main(int count, char** arguments) {
  if (count < 3 || count > 4) {
    std::fprintf(stderr, "usage: fit_collectives MEASUREMENTS CATALOGUE [judge]\n");
    return 2;
  }
  try {
    return pregate::validation::run(arguments[1], arguments[2], count > 3);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
