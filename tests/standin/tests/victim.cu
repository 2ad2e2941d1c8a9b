// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A small program that streams experts from host memory through two device slots, right or with one planted
// bug. The stand-in's tests run it; it knows nothing of the stand-in and runs on a GPU as well.
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr int d = 32;  // an expert is a d x d matrix: exactly one page of floats
constexpr int tokens = 3;
constexpr int experts = 6;
constexpr int weights = d * d;

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}
void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) throw std::runtime_error(std::string(what) + ": cuBLAS failed");
}
#define CHECK(call) check(call, #call)

/// Owns a handle; `Destroy` releases it.
template <class Handle, cudaError_t (*Destroy)(Handle)>
class Owned {
 public:
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle != nullptr) Destroy(handle);
  }
  Handle handle = nullptr;
};
using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
using Event = Owned<cudaEvent_t, cudaEventDestroy>;
using DeviceMemory = Owned<void*, cudaFree>;
using PinnedMemory = Owned<void*, cudaFreeHost>;
struct Blas {
  ~Blas() {
    if (handle != nullptr) cublasDestroy(handle);
  }
  cublasHandle_t handle = nullptr;
};

__global__ void add(float* sum, const float* part, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) sum[i] += part[i];
}

__global__ void total(const float* in, float* out, int count, bool skip_barrier) {
  __shared__ float box[64];
  box[threadIdx.x] = static_cast<int>(threadIdx.x) < count ? in[threadIdx.x] : 0.0f;
  if (!skip_barrier) __syncthreads();
  if (threadIdx.x != 0) return;
  float sum = 0;
  for (int i = 0; i < 64; ++i) sum += box[i];
  *out = sum;
}

float weight(int expert, int i) { return static_cast<float>((expert * 7 + i) % 11 - 5) / 8.0f; }

/// Waits for the device before the members that were declared earlier are destroyed.
struct Drain {
  ~Drain() { cudaDeviceSynchronize(); }
};

float* floats(void* pointer) { return static_cast<float*>(pointer); }

int run(const std::string& bug) {
  PinnedMemory input, staging[2], result;
  DeviceMemory x, slots[2], part, sum, sum_of_all;
  Stream copies, compute;
  Event filled[2], freed[2], never;
  Blas blas;
  Drain drain;

  CHECK(cudaMallocHost(&input.handle, tokens * d * sizeof(float)));
  CHECK(cudaMallocHost(&result.handle, tokens * d * sizeof(float)));
  for (auto& s : staging) CHECK(cudaMallocHost(&s.handle, weights * sizeof(float)));
  for (auto& s : slots) CHECK(cudaMalloc(&s.handle, weights * sizeof(float)));
  CHECK(cudaMalloc(&x.handle, tokens * d * sizeof(float)));
  CHECK(cudaMalloc(&part.handle, tokens * d * sizeof(float)));
  CHECK(cudaMalloc(&sum.handle, tokens * d * sizeof(float)));
  CHECK(cudaMalloc(&sum_of_all.handle, sizeof(float)));
  CHECK(cudaStreamCreateWithFlags(&copies.handle, cudaStreamNonBlocking));
  CHECK(cudaStreamCreateWithFlags(&compute.handle, cudaStreamNonBlocking));
  for (auto& e : filled) CHECK(cudaEventCreateWithFlags(&e.handle, cudaEventDisableTiming));
  for (auto& e : freed) CHECK(cudaEventCreateWithFlags(&e.handle, cudaEventDisableTiming));
  CHECK(cudaEventCreateWithFlags(&never.handle, cudaEventDisableTiming));
  CHECK(cublasCreate(&blas.handle));
  CHECK(cublasSetStream(blas.handle, compute.handle));

  const size_t bytes = tokens * d * sizeof(float);
  for (int i = 0; i < tokens * d; ++i) floats(input.handle)[i] = static_cast<float>(i % 5) - 2.0f;
  if (bug == "pageable") {
    std::vector<float> ordinary(tokens * d, 1.0f);
    CHECK(cudaMemcpyAsync(x.handle, ordinary.data(), bytes, cudaMemcpyHostToDevice, compute.handle));
    CHECK(cudaStreamSynchronize(compute.handle));
  }
  if (bug == "staged") {  // returns when the pageable source has been read, not when the copy is over
    const std::vector<float> ordinary(floats(input.handle), floats(input.handle) + tokens * d);
    CHECK(cudaMemcpy(x.handle, ordinary.data(), bytes, cudaMemcpyHostToDevice));
  } else {
    CHECK(cudaMemcpyAsync(x.handle, input.handle, bytes, cudaMemcpyHostToDevice, compute.handle));
  }
  if (bug != "uninitialised") CHECK(cudaMemsetAsync(sum.handle, 0, bytes, compute.handle));
  if (bug == "never-recorded") CHECK(cudaStreamWaitEvent(compute.handle, never.handle, 0));

  const float one = 1, zero = 0;
  for (int expert = 0; expert < experts; ++expert) {
    const int s = expert % 2;
    if (expert >= 2 && bug != "staging-overwritten") CHECK(cudaEventSynchronize(filled[s].handle));
    for (int i = 0; i < weights; ++i) floats(staging[s].handle)[i] = weight(expert, i);
    if (expert >= 2 && bug != "slot-overwritten")
      CHECK(cudaStreamWaitEvent(copies.handle, freed[s].handle, 0));
    CHECK(cudaMemcpyAsync(slots[s].handle, staging[s].handle, weights * sizeof(float), cudaMemcpyHostToDevice,
                          copies.handle));
    CHECK(cudaEventRecord(filled[s].handle, copies.handle));
    if (bug != "missing-wait") CHECK(cudaStreamWaitEvent(compute.handle, filled[s].handle, 0));
    const int leading = bug == "leading-dimension" ? d - 1 : d;
    CHECK(cublasSgemm(blas.handle, CUBLAS_OP_T, CUBLAS_OP_N, d, tokens, d, &one, floats(slots[s].handle),
                      leading, floats(x.handle), d, &zero, floats(part.handle), d));
    CHECK(cudaEventRecord(freed[s].handle, compute.handle));
    const int count = tokens * d + (bug == "off-by-one" ? 1 : 0);
    add<<<2, 64, 0, compute.handle>>>(floats(sum.handle), floats(part.handle), count);
    CHECK(cudaGetLastError());
  }
  total<<<1, 64, 0, compute.handle>>>(floats(sum.handle), floats(sum_of_all.handle), 64,
                                      bug == "missing-barrier");
  CHECK(cudaGetLastError());
  CHECK(cudaMemcpyAsync(result.handle, sum.handle, bytes, cudaMemcpyDeviceToHost, compute.handle));
  if (bug == "host-reads-device") return static_cast<int>(floats(sum.handle)[0]);
  if (bug == "freed-in-use") CHECK(cudaFree(std::exchange(part.handle, nullptr)));
  if (bug == "use-after-free") {
    CHECK(cudaStreamSynchronize(compute.handle));
    void* stale = part.handle;
    CHECK(cudaFree(std::exchange(part.handle, nullptr)));
    add<<<2, 64, 0, compute.handle>>>(floats(sum.handle), floats(stale), tokens * d);
  }
  if (bug == "leak") part.handle = nullptr;
  if (bug != "early-read") CHECK(cudaStreamSynchronize(compute.handle));

  double worst = 0;
  for (int t = 0; t < tokens; ++t) {
    for (int row = 0; row < d; ++row) {
      double expected = 0;
      for (int expert = 0; expert < experts; ++expert) {
        for (int i = 0; i < d; ++i) {
          expected += static_cast<double>(weight(expert, row * d + i)) * floats(input.handle)[t * d + i];
        }
      }
      worst = std::fmax(worst, std::fabs(expected - floats(result.handle)[t * d + row]));
    }
  }
  if (!(worst < 1e-4)) {
    std::printf("wrong result\n");
    return 1;
  }
  CHECK(cudaDeviceSynchronize());
  std::printf("right result\n");
  return 0;
}

/// One row goes from the first device to the second, is added to another there, and comes back.
int run_on_two(const std::string& bug) {
  constexpr int first = 0, second = 1;
  constexpr size_t bytes = d * sizeof(float);
  PinnedMemory input, result;
  DeviceMemory here, there, sum;
  Stream copies, compute;
  Event sent, added, foreign;
  int devices = 0, can = 0;
  CHECK(cudaGetDeviceCount(&devices));
  if (devices < 2) throw std::runtime_error("there is one device");
  CHECK(cudaDeviceCanAccessPeer(&can, first, second));
  if (can == 0) throw std::runtime_error("no peer access");
  struct DrainBoth {
    ~DrainBoth() {
      for (const int device : {first, second}) {
        cudaSetDevice(device);
        cudaDeviceSynchronize();
      }
    }
  } drain;

  CHECK(cudaSetDevice(first));
  CHECK(cudaMallocHost(&input.handle, bytes));
  CHECK(cudaMallocHost(&result.handle, bytes));
  CHECK(cudaMalloc(&here.handle, bytes));
  CHECK(cudaStreamCreateWithFlags(&copies.handle, cudaStreamNonBlocking));
  CHECK(cudaEventCreateWithFlags(&sent.handle, cudaEventDisableTiming));
  CHECK(cudaEventCreateWithFlags(&foreign.handle, cudaEventDisableTiming));
  CHECK(cudaSetDevice(second));
  CHECK(cudaMalloc(&there.handle, bytes));
  CHECK(cudaMalloc(&sum.handle, bytes));
  CHECK(cudaStreamCreateWithFlags(&compute.handle, cudaStreamNonBlocking));
  CHECK(cudaEventCreateWithFlags(&added.handle, cudaEventDisableTiming));
  if (bug != "two-unreached") CHECK(cudaDeviceEnablePeerAccess(first, 0));

  for (int i = 0; i < d; ++i) floats(input.handle)[i] = static_cast<float>(i);
  CHECK(cudaMemcpyAsync(here.handle, input.handle, bytes, cudaMemcpyHostToDevice, copies.handle));
  CHECK(cudaMemcpyPeerAsync(there.handle, bug == "two-other-device" ? first : second, here.handle, first,
                            bytes, copies.handle));
  CHECK(cudaEventRecord(sent.handle, copies.handle));
  CHECK(cudaMemsetAsync(sum.handle, 0, bytes, compute.handle));
  if (bug != "two-missing-wait") CHECK(cudaStreamWaitEvent(compute.handle, sent.handle, 0));
  if (bug == "two-not-current") CHECK(cudaSetDevice(first));
  add<<<1, 64, 0, compute.handle>>>(floats(sum.handle), floats(there.handle), d);
  CHECK(cudaGetLastError());
  // And straight from the other's memory.
  add<<<1, 64, 0, compute.handle>>>(floats(sum.handle), floats(here.handle), d);
  CHECK(cudaGetLastError());
  CHECK(cudaEventRecord(bug == "two-foreign-event" ? foreign.handle : added.handle, compute.handle));
  CHECK(cudaSetDevice(first));
  if (bug != "two-early-return") CHECK(cudaStreamWaitEvent(copies.handle, added.handle, 0));
  CHECK(cudaMemcpyPeerAsync(here.handle, first, sum.handle, second, bytes, copies.handle));
  CHECK(cudaMemcpyAsync(result.handle, here.handle, bytes, cudaMemcpyDeviceToHost, copies.handle));
  if (bug == "two-half-waited") {  // for the second device alone
    CHECK(cudaSetDevice(second));
    CHECK(cudaDeviceSynchronize());
  } else {
    CHECK(cudaStreamSynchronize(copies.handle));
  }
  for (int i = 0; i < d; ++i) {
    if (floats(result.handle)[i] != 2.0f * static_cast<float>(i)) {
      std::printf("wrong result\n");
      return 1;
    }
  }
  std::printf("right result\n");
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const std::string bug = count > 1 ? arguments[1] : "none";
    return bug.rfind("two", 0) == 0 ? run_on_two(bug) : run(bug);
  } catch (const std::exception& error) {
    std::printf("error: %s\n", error.what());
    return 3;
  }
}
