// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "runtime/device.hpp"

namespace pregate::runtime {
namespace {

template <class Element>
constexpr ElementType type_of = ElementType::f32;
template <>
constexpr ElementType type_of<kernels::Float16> = ElementType::f16;
template <>
constexpr ElementType type_of<kernels::BFloat16> = ElementType::bf16;

/// The one rounding of a result on its way out. Sums in fp32 add about 1e-7; TF32 or 16-bit sums 1e-4 and
/// more.
template <class Result>
constexpr double rounding = 1e-6;
template <>
constexpr double rounding<kernels::Float16> = 0x1p-11 + 1e-6;
template <>
constexpr double rounding<kernels::BFloat16> = 0x1p-8 + 1e-6;

class Values {
 public:
  Values(Device& device, Stream& stream) : device_(device), stream_(stream) {}

  template <class Element>
  DeviceMemory upload(const std::vector<Element>& values) {
    const Bytes size{static_cast<std::int64_t>(values.size() * sizeof(Element))};
    const PageLockedMemory from = device_.allocate_page_locked(size, "test");
    DeviceMemory memory = device_.allocate(size, "test");
    std::memcpy(from.span().data(), values.data(), values.size() * sizeof(Element));
    stream_.copy_to_device(memory.span(), from.span());
    stream_.synchronize();
    return memory;
  }
  template <class Element>
  std::vector<Element> download(const DeviceMemory& memory) {
    const PageLockedMemory to = device_.allocate_page_locked(memory.size(), "test");
    stream_.copy_to_host(to.span(), memory.span());
    stream_.synchronize();
    std::vector<Element> values(static_cast<std::size_t>(memory.size().count) / sizeof(Element));
    std::memcpy(values.data(), to.span().data(), values.size() * sizeof(Element));
    return values;
  }

 private:
  Device& device_;
  Stream& stream_;
};

template <class Element>
std::vector<Element> random_values(std::mt19937& random, int count) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<Element> values(static_cast<std::size_t>(count));
  for (Element& value : values) value = kernels::from_float<Element>(uniform(random));
  return values;
}

struct Shape {
  int rows, columns, inner, c_stride;
  float beta;
};

// Against a double loop on the same stored values; what lies between rows of the result stays as it is.
template <class Element, class Result>
void check_product(Device& device, Stream& stream, const Shape& s) {
  std::mt19937 random(7);
  Values values(device, stream);
  const int stride = s.c_stride > 0 ? s.c_stride : s.columns;
  const auto a = random_values<Element>(random, s.rows * s.inner);
  const auto b = random_values<Element>(random, s.columns * s.inner);
  const auto before = random_values<Result>(random, s.rows * stride);
  const DeviceMemory on_a = values.upload(a), on_b = values.upload(b), on_c = values.upload(before);
  stream.gemm({.rows = s.rows,
               .columns = s.columns,
               .inner = s.inner,
               .a = on_a.span().data(),
               .b = on_b.span().data(),
               .c = on_c.span().data(),
               .c_stride = s.c_stride,
               .beta = s.beta,
               .type = type_of<Element>,
               .result = type_of<Result>});
  const auto c = values.download<Result>(on_c);

  const auto at = [](const auto& matrix, int width, int row, int column) {
    return matrix[static_cast<std::size_t>(row) * static_cast<std::size_t>(width) +
                  static_cast<std::size_t>(column)];
  };
  const auto wide = [](auto element) { return static_cast<double>(kernels::to_float(element)); };
  double error = 0, norm = 0;
  for (int i = 0; i < s.rows; ++i) {
    for (int j = 0; j < s.columns; ++j) {
      double sum = static_cast<double>(s.beta) * wide(at(before, stride, i, j));
      for (int k = 0; k < s.inner; ++k) sum += wide(at(a, s.inner, i, k)) * wide(at(b, s.inner, j, k));
      error += std::pow(wide(at(c, stride, i, j)) - sum, 2);
      norm += sum * sum;
    }
    for (int j = s.columns; j < stride; ++j)
      EXPECT_EQ(wide(at(c, stride, i, j)), wide(at(before, stride, i, j))) << "between rows";
  }
  EXPECT_LT(std::sqrt(error / norm), rounding<Result>)
      << s.rows << " x " << s.columns << " x " << s.inner << ", stride " << s.c_stride << ", beta " << s.beta;
}

TEST(CudaGemm, OddShapesOfEveryType) {
  const auto device = open_device("cuda", {});
  const auto stream = device->make_stream("compute");
  for (const Shape& shape : {Shape{1, 1, 1, 0, 0}, Shape{1, 37, 65, 0, 1}, Shape{3, 5, 7, 11, 0.5F},
                             Shape{17, 33, 129, 40, 1}, Shape{2, 64, 128, 0, 0}, Shape{33, 1, 19, 3, -2}}) {
    check_product<float, float>(*device, *stream, shape);
    check_product<kernels::Float16, kernels::Float16>(*device, *stream, shape);
    check_product<kernels::Float16, float>(*device, *stream, shape);
    check_product<kernels::BFloat16, kernels::BFloat16>(*device, *stream, shape);
    check_product<kernels::BFloat16, float>(*device, *stream, shape);
  }
}

// What beta 0 multiplies is not looked at: NaN there is not a result.
TEST(CudaGemm, BetaZeroForgetsWhatWasThere) {
  const auto device = open_device("cuda", {});
  const auto stream = device->make_stream("compute");
  Values values(*device, *stream);
  const DeviceMemory a = values.upload(std::vector<float>{2, 3}), b = values.upload(std::vector<float>{5, 7}),
                     c = values.upload(std::vector<float>{std::nanf("")});
  stream->gemm({.rows = 1,
                .columns = 1,
                .inner = 2,
                .a = a.span().data(),
                .b = b.span().data(),
                .c = c.span().data()});
  EXPECT_EQ(values.download<float>(c).front(), 31);
}

// Sums of 16-bit products are kept in fp32: in fp16 4099 ones would stop at 2048, in bf16 at 256.
TEST(CudaGemm, SixteenBitsAccumulateInThirtyTwo) {
  const auto device = open_device("cuda", {});
  const auto stream = device->make_stream("compute");
  Values values(*device, *stream);
  const auto sum_of_ones = [&](auto one, ElementType type) {
    const std::vector<decltype(one)> ones(4099, one);
    const DeviceMemory a = values.upload(ones), b = values.upload(ones),
                       c = values.upload(std::vector<float>{0});
    stream->gemm({.rows = 1,
                  .columns = 1,
                  .inner = 4099,
                  .a = a.span().data(),
                  .b = b.span().data(),
                  .c = c.span().data(),
                  .type = type,
                  .result = ElementType::f32});
    return values.download<float>(c).front();
  };
  EXPECT_EQ(sum_of_ones(kernels::to_float16(1), ElementType::f16), 4099);
  EXPECT_EQ(sum_of_ones(kernels::to_bfloat16(1), ElementType::bf16), 4099);
}

TEST(CudaGemm, WhatIsNoProductIsRefused) {
  const auto device = open_device("cuda", {});
  const auto stream = device->make_stream("compute");
  const DeviceMemory memory = device->allocate({256}, "test");
  std::byte* const at = memory.span().data();
  const Gemm good{.rows = 1, .columns = 2, .inner = 1, .a = at, .b = at + 64, .c = at + 128};
  const auto refused = [&](auto&& change) {
    Gemm gemm = good;
    change(gemm);
    EXPECT_THROW(stream->gemm(gemm), std::invalid_argument);
  };
  refused([](Gemm& g) { g.rows = -1; });
  refused([](Gemm& g) { g.columns = 0; });
  refused([](Gemm& g) { g.inner = 0; });
  refused([](Gemm& g) { g.c_stride = 1; });
  refused([](Gemm& g) { g.b = nullptr; });
  refused([](Gemm& g) { g.result = ElementType::f16; });
  EXPECT_NO_THROW(stream->gemm({.rows = 0, .columns = 2, .inner = 1}));
}

}  // namespace
}  // namespace pregate::runtime
