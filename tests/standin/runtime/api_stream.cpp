// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Streams, events and host functions.
#include <cuda_runtime_api.h>

#include "tests/standin/runtime/runtime.hpp"

using namespace pregate::standin;

namespace {

bool is_event(Runtime& runtime, cudaEvent_t event, const char* who) {
  if (runtime.engine.is_event(event)) return true;
  runtime.reports.add("handle", std::string(who) + ": destroyed or unknown event");
  return false;
}

cudaError_t create(Runtime& runtime, cudaStream_t* stream, unsigned flags, int priority) {
  if (flags != cudaStreamDefault && flags != cudaStreamNonBlocking) return cudaErrorInvalidValue;
  *stream = runtime.engine.create_stream(flags == cudaStreamDefault, flags, priority, current_device());
  return cudaSuccess;
}

cudaError_t create(Runtime& runtime, cudaEvent_t* event, unsigned flags) {
  *event = runtime.engine.create_event(flags, current_device());
  return cudaSuccess;
}

cudaError_t record(Runtime& runtime, cudaEvent_t event, cudaStream_t handle) {
  CUstream_st* stream = stream_of(handle, "cudaEventRecord");
  if (stream == nullptr || !is_event(runtime, event, "cudaEventRecord"))
    return cudaErrorInvalidResourceHandle;
  if (event->device != stream->device) {
    runtime.reports.add("device", "cudaEventRecord: the event is of device " + std::to_string(event->device) +
                                      ", the stream of device " + std::to_string(stream->device));
    return cudaErrorInvalidResourceHandle;
  }
  runtime.engine.record(event, stream);
  return cudaSuccess;
}

}  // namespace

STANDIN_API cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return api_call("cudaStreamCreate",
                  [&](Runtime& runtime) { return create(runtime, stream, cudaStreamDefault, 0); });
}

STANDIN_API cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return api_call("cudaStreamCreateWithFlags",
                  [&](Runtime& runtime) { return create(runtime, stream, flags, 0); });
}

STANDIN_API cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  return api_call("cudaStreamCreateWithPriority",
                  [&](Runtime& runtime) { return create(runtime, stream, flags, priority); });
}

STANDIN_API cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return api_release("cudaStreamDestroy", [&](Runtime& runtime) {
    CUstream_st* stream = stream_of(handle, "cudaStreamDestroy");
    if (stream == nullptr || runtime.engine.is_default_stream(stream)) return cudaErrorInvalidResourceHandle;
    runtime.engine.destroy_stream(stream);
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return api_wait("cudaStreamSynchronize", [&](Runtime& runtime) {
    CUstream_st* stream = stream_of(handle, "cudaStreamSynchronize");
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    runtime.engine.wait(runtime.engine.tail_of(stream));
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return api_call("cudaStreamQuery", [&](Runtime& runtime) {
    CUstream_st* stream = stream_of(handle, "cudaStreamQuery");
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    return runtime.engine.query(runtime.engine.tail_of(stream)) ? cudaSuccess : cudaErrorNotReady;
  });
}

STANDIN_API cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned /*flags*/) {
  return api_call("cudaStreamWaitEvent", [&](Runtime& runtime) {
    CUstream_st* stream = stream_of(handle, "cudaStreamWaitEvent");
    if (stream == nullptr || !is_event(runtime, event, "cudaStreamWaitEvent")) {
      return cudaErrorInvalidResourceHandle;
    }
    OperationPointer operation = runtime.engine.recorded(event);
    if (!operation) {
      runtime.reports.add("never-recorded",
                          "cudaStreamWaitEvent on an event that was never recorded: no wait");
      return cudaSuccess;
    }
    runtime.engine.submit(stream, {OperationKind::wait, "wait", 0, 0, {}, nullptr}, std::move(operation));
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return api_call("cudaEventCreate",
                  [&](Runtime& runtime) { return create(runtime, event, cudaEventDefault); });
}

STANDIN_API cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return api_call("cudaEventCreateWithFlags",
                  [&](Runtime& runtime) { return create(runtime, event, flags); });
}

STANDIN_API cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return api_release("cudaEventDestroy", [&](Runtime& runtime) {
    if (!is_event(runtime, event, "cudaEventDestroy")) return cudaErrorInvalidResourceHandle;
    runtime.engine.destroy_event(event);
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return api_call("cudaEventRecord", [&](Runtime& runtime) { return record(runtime, event, stream); });
}

STANDIN_API cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  return api_call("cudaEventRecordWithFlags", [&](Runtime& runtime) {
    return flags == cudaEventRecordDefault ? record(runtime, event, stream) : cudaErrorNotSupported;
  });
}

STANDIN_API cudaError_t cudaEventQuery(cudaEvent_t event) {
  return api_call("cudaEventQuery", [&](Runtime& runtime) {
    if (!is_event(runtime, event, "cudaEventQuery")) return cudaErrorInvalidResourceHandle;
    return runtime.engine.query(runtime.engine.recorded(event)) ? cudaSuccess : cudaErrorNotReady;
  });
}

STANDIN_API cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return api_wait("cudaEventSynchronize", [&](Runtime& runtime) {
    if (!is_event(runtime, event, "cudaEventSynchronize")) return cudaErrorInvalidResourceHandle;
    const OperationPointer operation = runtime.engine.recorded(event);
    if (!operation) {
      runtime.reports.add("never-recorded",
                          "cudaEventSynchronize on an event that was never recorded: no wait");
    }
    runtime.engine.wait(operation);
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return api_call("cudaEventElapsedTime", [&](Runtime& runtime) {
    if (!is_event(runtime, start, "cudaEventElapsedTime") ||
        !is_event(runtime, end, "cudaEventElapsedTime")) {
      return cudaErrorInvalidResourceHandle;
    }
    const OperationPointer first = runtime.engine.recorded(start);
    const OperationPointer last = runtime.engine.recorded(end);
    const bool timed = ((start->flags | end->flags) & cudaEventDisableTiming) == 0;
    if (!timed || !first || !last || start->device != end->device) return cudaErrorInvalidResourceHandle;
    if (!first->is_done() || !last->is_done()) return cudaErrorNotReady;
    *milliseconds = static_cast<float>((last->end_us - first->end_us) / 1e3);
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* argument) {
  return api_call("cudaLaunchHostFunc", [&](Runtime& runtime) {
    CUstream_st* stream = stream_of(handle, "cudaLaunchHostFunc");
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (function == nullptr) return cudaErrorInvalidValue;
    Request request;
    request.kind = OperationKind::host_function;
    request.name = "host function";
    request.work = [function, argument]() -> std::vector<Range> {
      function(argument);
      return {};
    };
    runtime.engine.submit(stream, std::move(request));
    return cudaSuccess;
  });
}
