// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The interface as a program sees it. Nothing here depends on the stand-in: the same binary runs on a GPU.
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/standin/ptx/numeric.hpp"
#include "tests/standin/tests/api_kernels.hpp"

namespace pregate::standin {
namespace {

#define OK(call) ASSERT_EQ(call, cudaSuccess)
#define BLAS_OK(call) ASSERT_EQ(call, CUBLAS_STATUS_SUCCESS)

/// An array in device memory, from and to a vector.
template <class T>
class Array {
 public:
  explicit Array(const std::vector<T>& values) : size_(values.size()) {
    EXPECT_EQ(cudaMalloc(&pointer_, size_ * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(pointer_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() {
    cudaDeviceSynchronize();
    cudaFree(pointer_);
  }
  T* get() const { return static_cast<T*>(pointer_); }
  std::vector<T> values() const {
    std::vector<T> result(size_);
    EXPECT_EQ(cudaMemcpy(result.data(), pointer_, size_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return result;
  }

 private:
  std::size_t size_;
  void* pointer_ = nullptr;
};

using Floats = std::vector<float>;

TEST(Api, AKernelRunsWithConstantsAndVariables) {
  const Array<float> values(Floats(70, 0.5F));
  int before = 0;
  int after = 0;
  OK(read_counter(before));
  add_table(values.get(), 70, nullptr);
  OK(set_table({10, 20, 30, 40}));
  add_table(values.get(), 70, nullptr);
  OK(cudaGetLastError());
  OK(read_counter(after));
  EXPECT_EQ(after - before, 140);
  EXPECT_EQ(values.values()[69], 0.5F + 2 + 20);
  OK(set_table({1, 2, 3, 4}));
}

TEST(Api, ErrorsAreRememberedUntilRead) {
  void* pointer = nullptr;
  EXPECT_EQ(cudaMalloc(&pointer, std::size_t{1} << 50), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_STREQ(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
  EXPECT_EQ(cudaSetDevice(77), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
}

TEST(Api, LaunchesBeyondTheLimitsAreRefused) {
  int count = 0;
  float* none = nullptr;
  void* arguments[] = {&none, &count};
  EXPECT_EQ(cudaLaunchKernel(add_table_kernel(), dim3(1), dim3(1025), arguments, 0, nullptr),
            cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaLaunchKernel(add_table_kernel(), dim3(0), dim3(32), arguments, 0, nullptr),
            cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaLaunchKernel(add_table_kernel(), dim3(1), dim3(32), arguments, 100 << 10, nullptr),
            cudaErrorInvalidValue);
  OK(cudaFuncSetAttribute(add_table_kernel(), cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10));
  EXPECT_EQ(cudaLaunchKernel(add_table_kernel(), dim3(1), dim3(32), arguments, 100 << 10, nullptr),
            cudaSuccess);
  OK(cudaDeviceSynchronize());
  cudaGetLastError();
}

TEST(Api, DeviceAndFunctionQueries) {
  int count = 0;
  OK(cudaGetDeviceCount(&count));
  ASSERT_GE(count, 1);
  cudaDeviceProp properties{};
  OK(cudaGetDeviceProperties(&properties, 0));
  int value = 0;
  OK(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 0));
  EXPECT_EQ(value, properties.major);
  OK(cudaDeviceGetAttribute(&value, cudaDevAttrWarpSize, 0));
  EXPECT_EQ(value, 32);
  int driver = 0;
  int runtime = 0;
  OK(cudaDriverGetVersion(&driver));
  OK(cudaRuntimeGetVersion(&runtime));
  EXPECT_GE(driver, runtime);
  char bus[32];
  OK(cudaDeviceGetPCIBusId(bus, sizeof bus, 0));
  int least = 0;
  int greatest = 0;
  OK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  EXPECT_LE(greatest, least);
  cudaFuncAttributes attributes{};
  OK(cudaFuncGetAttributes(&attributes, add_table_kernel()));
  EXPECT_EQ(attributes.sharedSizeBytes, 0U);
  EXPECT_GE(attributes.maxThreadsPerBlock, 32);
  int blocks = 0;
  OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, add_table_kernel(), 256, 0));
  EXPECT_GE(blocks, 1);
}

TEST(Api, PointersAndMemoryAreKnown) {
  std::size_t before = 0;
  std::size_t after = 0;
  std::size_t total = 0;
  OK(cudaMemGetInfo(&before, &total));
  void* device = nullptr;
  void* pinned = nullptr;
  OK(cudaMalloc(&device, 4 << 20));
  OK(cudaMemGetInfo(&after, &total));
  EXPECT_LE(after + (4 << 20), before);
  OK(cudaHostAlloc(&pinned, 4096, cudaHostAllocDefault));
  std::vector<char> ordinary(8192);
  cudaPointerAttributes attributes{};
  OK(cudaPointerGetAttributes(&attributes, device));
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  OK(cudaPointerGetAttributes(&attributes, pinned));
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  OK(cudaPointerGetAttributes(&attributes, ordinary.data()));
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
  OK(cudaHostRegister(ordinary.data(), ordinary.size(), cudaHostRegisterDefault));
  EXPECT_EQ(cudaHostRegister(ordinary.data(), ordinary.size(), cudaHostRegisterDefault),
            cudaErrorHostMemoryAlreadyRegistered);
  cudaGetLastError();
  OK(cudaPointerGetAttributes(&attributes, ordinary.data()));
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  OK(cudaMemcpyAsync(device, ordinary.data(), ordinary.size(), cudaMemcpyHostToDevice, nullptr));
  OK(cudaDeviceSynchronize());
  OK(cudaHostUnregister(ordinary.data()));
  OK(cudaFreeHost(pinned));
  OK(cudaFree(device));
  OK(cudaFree(nullptr));
}

TEST(Api, EventsTimeAndQueriesEnd) {
  cudaStream_t stream = nullptr;
  cudaEvent_t start = nullptr;
  cudaEvent_t end = nullptr;
  OK(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, 0));
  OK(cudaEventCreate(&start));
  OK(cudaEventCreate(&end));
  void* device = nullptr;
  void* pinned = nullptr;
  OK(cudaMalloc(&device, 1 << 20));
  OK(cudaMallocHost(&pinned, 1 << 20));
  OK(cudaEventRecord(start, stream));
  OK(cudaMemcpyAsync(device, pinned, 1 << 20, cudaMemcpyHostToDevice, stream));
  OK(cudaEventRecord(end, stream));
  cudaError_t state = cudaErrorNotReady;
  for (int i = 0; i < 100000 && state == cudaErrorNotReady; ++i) {
    state = cudaEventQuery(end);
    if (state == cudaErrorNotReady) std::this_thread::yield();
  }
  EXPECT_EQ(state, cudaSuccess);
  EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);  // "not ready" is no error
  float milliseconds = 0;
  OK(cudaEventElapsedTime(&milliseconds, start, end));
  EXPECT_GT(milliseconds, 0);
  OK(cudaEventDestroy(start));
  OK(cudaEventDestroy(end));
  OK(cudaStreamDestroy(stream));
  OK(cudaFreeHost(pinned));
  OK(cudaFree(device));
}

TEST(Api, HostFunctionsRunInStreamOrder) {
  cudaStream_t stream = nullptr;
  OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  std::vector<int> seen;
  const auto append = [](void* data) {
    auto& list = *static_cast<std::vector<int>*>(data);
    list.push_back(static_cast<int>(list.size()));
  };
  for (int i = 0; i < 3; ++i) OK(cudaLaunchHostFunc(stream, append, &seen));
  OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2}));
  OK(cudaStreamDestroy(stream));
}

// Pages that a copy uses are closed to the host until it has waited; not to a function of the host that the
// copy waits for, which fills them.
TEST(Api, HostFunctionsFillWhatCopiesBehindThemRead) {
  constexpr std::size_t size = 1 << 16;
  cudaStream_t stream = nullptr;
  OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  void *pinned = nullptr, *device = nullptr;
  OK(cudaHostAlloc(&pinned, size, cudaHostAllocDefault));
  OK(cudaMalloc(&device, size));
  for (int round = 0; round < 3; ++round) {  // and what the copy before them has read
    OK(cudaLaunchHostFunc(
        stream, [](void* data) { std::memset(data, 5, size); }, pinned));
    OK(cudaMemcpyAsync(device, pinned, size, cudaMemcpyHostToDevice, stream));
  }
  OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(static_cast<const unsigned char*>(pinned)[size - 1], 5);
  OK(cudaStreamDestroy(stream));
  OK(cudaFreeHost(pinned));
  OK(cudaFree(device));
}

// A blocking stream and the default stream wait for each other (CUDA C++ Programming Guide, implicit
// synchronization).
TEST(Api, BlockingStreamsAreOrderedWithTheDefaultStream) {
  cudaStream_t stream = nullptr;
  OK(cudaStreamCreate(&stream));
  const Array<float> values(Floats(4, 0));
  add_table(values.get(), 4, stream);
  add_table(values.get(), 4, nullptr);
  add_table(values.get(), 4, stream);
  EXPECT_EQ(values.values(), (Floats{3, 6, 9, 12}));  // the copy is in the default stream, too
  OK(cudaStreamDestroy(stream));
}

class Blas : public testing::Test {
 protected:
  Blas() { EXPECT_EQ(cublasCreate(&handle_), CUBLAS_STATUS_SUCCESS); }
  ~Blas() override { EXPECT_EQ(cublasDestroy(handle_), CUBLAS_STATUS_SUCCESS); }
  cublasHandle_t handle_ = nullptr;
  float one_ = 1;
  float zero_ = 0;
};

// A = [1 2; 3 4; 5 6] and B = [1 0; 2 1] in column-major order.
const Floats a_matrix = {1, 3, 5, 2, 4, 6};
const Floats b_matrix = {1, 2, 0, 1};

TEST_F(Blas, SgemmInEveryTransposition) {
  const Array<float> a(a_matrix);
  const Array<float> b(b_matrix);
  const Array<float> at(Floats{1, 2, 3, 4, 5, 6});
  const Array<float> bt(Floats{1, 0, 2, 1});
  const Floats expected = {5, 11, 17, 2, 4, 6};
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      const Array<float> c(Floats(6, -1));
      BLAS_OK(cublasSgemm(handle_, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, 3, 2, 2,
                          &one_, ta ? at.get() : a.get(), ta ? 2 : 3, tb ? bt.get() : b.get(), 2, &zero_,
                          c.get(), 3));
      EXPECT_EQ(c.values(), expected) << ta << tb;
    }
  }
}

// With alpha = 2, beta = 3 and C's columns four apart; the gap is not touched.
TEST_F(Blas, ScalarsAndLeadingDimensions) {
  const Array<float> a(a_matrix);
  const Array<float> b(b_matrix);
  const Array<float> c(Floats(8, 1));
  const float alpha = 2;
  const float beta = 3;
  BLAS_OK(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 3, 2, 2, &alpha, a.get(), 3, b.get(), 2, &beta,
                      c.get(), 4));
  EXPECT_EQ(c.values(), (Floats{13, 25, 37, 1, 7, 11, 15, 1}));
}

std::vector<std::uint16_t> encoded(const Floats& values, ptx::SmallFormat format) {
  std::vector<std::uint16_t> result;
  for (const float v : values) {
    result.push_back(ptx::encode(static_cast<double>(v), format, ptx::Rounding::nearest_even));
  }
  return result;
}

TEST_F(Blas, HalfTypesWithFloatAccumulation) {
  for (const auto& [type, format] :
       {std::pair{CUDA_R_16F, ptx::f16_format}, std::pair{CUDA_R_16BF, ptx::bf16_format}}) {
    const Array<std::uint16_t> a(encoded(a_matrix, format));
    const Array<std::uint16_t> b(encoded(b_matrix, format));
    const Array<std::uint16_t> c(std::vector<std::uint16_t>(6, 0));
    const Array<float> wide(Floats(6, 0));
    BLAS_OK(cublasGemmEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 3, 2, 2, &one_, a.get(), type, 3, b.get(), type,
                         2, &zero_, c.get(), type, 3, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    BLAS_OK(cublasGemmEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 3, 2, 2, &one_, a.get(), type, 3, b.get(), type,
                         2, &zero_, wide.get(), CUDA_R_32F, 3, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    const Floats expected = {5, 11, 17, 2, 4, 6};
    EXPECT_EQ(c.values(), encoded(expected, format));
    EXPECT_EQ(wide.values(), expected);
  }
}

TEST_F(Blas, Batches) {
  Floats two_a = a_matrix;
  for (const float v : a_matrix) two_a.push_back(10 * v);
  const Array<float> a(two_a);
  const Array<float> b(b_matrix);
  const Floats expected = {5, 11, 17, 2, 4, 6, 50, 110, 170, 20, 40, 60};
  const Array<float> strided(Floats(12, 0));
  BLAS_OK(cublasGemmStridedBatchedEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 3, 2, 2, &one_, a.get(), CUDA_R_32F,
                                     3, 6, b.get(), CUDA_R_32F, 2, 0, &zero_, strided.get(), CUDA_R_32F, 3, 6,
                                     2, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
  EXPECT_EQ(strided.values(), expected);
  const Array<float> listed(Floats(12, 0));
  const Array<const void*> as({a.get(), a.get() + 6});
  const Array<const void*> bs({b.get(), b.get()});
  const Array<void*> cs({listed.get(), listed.get() + 6});
  BLAS_OK(cublasGemmBatchedEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 3, 2, 2, &one_, as.get(), CUDA_R_32F, 3,
                              bs.get(), CUDA_R_32F, 2, &zero_, cs.get(), CUDA_R_32F, 3, 2, CUBLAS_COMPUTE_32F,
                              CUBLAS_GEMM_DEFAULT));
  EXPECT_EQ(listed.values(), expected);
}

TEST_F(Blas, Sgemv) {
  const Array<float> a(a_matrix);
  const Array<float> x(Floats{1, 9, 2, 9});
  const Array<float> y(Floats(3, 1));
  BLAS_OK(cublasSgemv(handle_, CUBLAS_OP_N, 3, 2, &one_, a.get(), 3, x.get(), 2, &one_, y.get(), 1));
  EXPECT_EQ(y.values(), (Floats{6, 12, 18}));
  const Array<float> z(Floats(2, 0));
  BLAS_OK(cublasSgemv(handle_, CUBLAS_OP_T, 3, 2, &one_, a.get(), 3, y.get(), 1, &zero_, z.get(), 1));
  EXPECT_EQ(z.values(), (Floats{6 + 36 + 90, 12 + 48 + 108}));
}

TEST_F(Blas, AnEmptySumScalesC) {
  const Array<float> c(Floats{1, 2});
  const float beta = 2;
  BLAS_OK(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 1, 0, &one_, c.get(), 2, c.get(), 1, &beta,
                      c.get(), 2));
  EXPECT_EQ(c.values(), (Floats{2, 4}));
}

}  // namespace
}  // namespace pregate::standin
