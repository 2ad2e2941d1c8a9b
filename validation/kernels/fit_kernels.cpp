// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Fits the constants of models/catalog/kernels/*.toml and prints the table of docs/kernel-times.md:
// fit_kernels MEASUREMENTS CATALOGUE [FAMILY]. Of another family what is in the catalogue stays; FAMILY
// "none" prints the table alone.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "models/kernel_constants.hpp"
#include "validation/kernels/errors.hpp"
#include "validation/kernels/fit.hpp"
#include "validation/kernels/kin.hpp"
#include "validation/kernels/measured_rows.hpp"

namespace pregate::validation {
namespace {

constexpr std::size_t most_fitted = 3000;  // rows of a fit: those with the least hash

struct Group {
  std::vector<MeasuredKernel> fitted, judged;
};

using Groups = std::map<std::pair<KernelFamily, std::string>, Group>;

struct Gpu {
  std::string name;
  GpuKernels kernels;
  Groups groups;
};

Groups grouped(std::vector<MeasuredKernel> rows) {
  Groups groups;
  for (MeasuredKernel& row : rows) {
    Group& group = groups[{row.family, row.dtype}];
    (row.judged ? group.judged : group.fitted).push_back(std::move(row));
  }
  for (auto& [key, group] : groups) {
    std::sort(group.fitted.begin(), group.fitted.end(),
              [](const MeasuredKernel& a, const MeasuredKernel& b) { return a.hash < b.hash; });
    if (group.fitted.size() > most_fitted) group.fitted.resize(most_fitted);
  }
  return groups;
}

std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

void write(const std::filesystem::path& path, const GpuKernels& kernels) {
  std::string text = text_of(path);
  text.resize(std::min(text.size(), text.find("\n[[kernels]]")));
  while (text.ends_with('\n')) text.pop_back();
  text += '\n';
  for (const KernelFit& fit : kernels.fits) {
    text += "\n[[kernels]]\nfamily = \"" + std::string(to_string(fit.family)) + "\"\ndtype = \"" + fit.dtype +
            "\"\n";
    for (const KernelConstant& constant : constants_of(fit.family))
      text +=
          std::string(constant.name) + " = " + number(fit.constants.*constant.member / constant.unit) + '\n';
    text += "fitted_rows = " + std::to_string(fit.fitted_rows) +
            "\njudged_rows = " + std::to_string(fit.judged_rows) + "\nmedian = " + number(fit.median) +
            "\npercentile_90 = " + number(fit.percentile_90) + '\n';
    if (fit.kin_median > 0) text += "kin_median = " + number(fit.kin_median) + '\n';
  }
  std::ofstream(path) << text;
}

/// The constants as their file will give them back.
KernelConstants rounded(KernelFamily family, KernelConstants constants) {
  for (const KernelConstant& constant : constants_of(family))
    constants.*constant.member =
        std::stod(number(constants.*constant.member / constant.unit)) * constant.unit;
  return constants;
}

void fit_gpu(Gpu& gpu, const std::vector<Gpu>& all, const std::string& only) {
  std::vector<KernelFit> fits;
  for (const auto& [key, group] : gpu.groups) {
    const auto& [family, dtype] = key;
    if (!only.empty() && to_string(family) != only) {
      if (const KernelFit* kept = gpu.kernels.find(family, dtype)) fits.push_back(*kept);
      continue;
    }
    if (group.fitted.size() < 20) continue;  // says nothing about six constants
    const GpuRows rows{&gpu.kernels.peaks, group.fitted};
    KernelFit fit{family, dtype, rounded(family, fitted_constants(family, {&rows, 1}))};
    const ErrorSummary errors = errors_of(group.judged, gpu.kernels.peaks, fit.constants);
    fit.fitted_rows = group.fitted.size();
    fit.judged_rows = errors.rows;
    fit.median = errors.median;
    fit.percentile_90 = errors.percentile_90;
    std::vector<GpuRows> others;
    for (const Gpu& other : all) {
      const auto found = other.groups.find(key);
      if (&other != &gpu && found != other.groups.end())
        others.push_back({&other.kernels.peaks, found->second.fitted});
    }
    if (!others.empty()) {
      const KernelConstants kin =
          carried_over(family, fitted_constants(family, others), *others.front().gpu, gpu.kernels.peaks);
      fit.kin_median = errors_of(group.judged, gpu.kernels.peaks, kin).median;
    }
    std::fprintf(stderr, "%-18s %-18s %-9s", gpu.name.c_str(), std::string(to_string(family)).c_str(),
                 dtype.c_str());
    // Of the fitted half: whoever changes a formula looks at these, and at the judged half in the files at
    // the end.
    const ErrorSummary seen = errors_of(group.fitted, gpu.kernels.peaks, fit.constants);
    std::fprintf(stderr, " %6zu fitted: median %5.1f %%  p90 %5.1f %%", seen.rows, 100 * seen.median,
                 100 * seen.percentile_90);
    for (const KernelConstant& constant : constants_of(family))
      std::fprintf(stderr, " %s %s", constant.name,
                   number(fit.constants.*constant.member / constant.unit).c_str());
    std::fprintf(stderr, "\n");

    fits.push_back(std::move(fit));
  }
  gpu.kernels.fits = std::move(fits);
}

void print_table(const std::vector<Gpu>& gpus) {
  std::printf(
      "| GPU | kernel | type | constants | rows fitted / judged | median | 90th | by kin "
      "|\n|---|---|---|---|---|---|---|---|\n");
  for (const Gpu& gpu : gpus) {
    for (const KernelFit& fit : gpu.kernels.fits) {
      std::string constants;
      for (const KernelConstant& constant : constants_of(fit.family)) {
        constants += (constants.empty() ? "" : ", ") + std::string(constant.name) + ' ' +
                     number(fit.constants.*constant.member / constant.unit);
      }
      std::printf("| %s | %s | %s | %s | %zu / %zu | %.1f %% | %.1f %% |", gpu.name.c_str(),
                  std::string(to_string(fit.family)).c_str(), fit.dtype.c_str(), constants.c_str(),
                  fit.fitted_rows, fit.judged_rows, 100 * fit.median, 100 * fit.percentile_90);
      if (fit.kin_median > 0) {
        std::printf(" %.1f %% |\n", 100 * fit.kin_median);
      } else {
        std::printf(" - |\n");
      }
    }
  }
}

int run(const std::filesystem::path& measurements, const std::filesystem::path& catalogue,
        const std::string& only) {
  std::vector<Gpu> gpus;
  for (const std::string& name : kernel_gpu_names()) {
    const std::filesystem::path file = catalogue / (name + ".toml");
    Gpu gpu{name, parse_gpu_kernels(text_of(file), name, file.string()), {}};
    gpu.groups = grouped(read_measured_kernels(measurements / name, gpu.kernels));
    gpus.push_back(std::move(gpu));
  }
  for (Gpu& gpu : gpus) fit_gpu(gpu, gpus, only);
  for (const Gpu& gpu : gpus) write(catalogue / (gpu.name + ".toml"), gpu.kernels);
  print_table(gpus);
  return 0;
}

}  // namespace
}  // namespace pregate::validation

int main(int count, char** arguments) {
  if (count < 3 || count > 4) {
    std::fprintf(stderr, "usage: fit_kernels MEASUREMENTS CATALOGUE [FAMILY]\n");
    return 2;
  }
  try {
    return pregate::validation::run(arguments[1], arguments[2], count > 3 ? arguments[3] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
