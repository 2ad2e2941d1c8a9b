# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Sets PREGATE_WITH_CUDA to whether the CUDA device is built, and the language, architectures and runtime library
# when it is. PREGATE_CUDA: AUTO builds it where a working toolkit >= 12.0 with cuBLAS is found, ON fails without
# one, OFF never looks.
set(PREGATE_CUDA AUTO CACHE STRING "The CUDA device: AUTO, ON or OFF")
set_property(CACHE PREGATE_CUDA PROPERTY STRINGS AUTO ON OFF)
set(PREGATE_WITH_CUDA FALSE)

if(NOT PREGATE_CUDA STREQUAL "OFF")
  # Chosen before the language is enabled, else the compiler's default is taken. The last one has PTX as well, for
  # devices that come later (and for the tests' interpreter).
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90)
    set(pregate_architectures_are_default TRUE)
  endif()
  # NVIDIA's packages do not put nvcc on PATH.
  if(NOT DEFINED CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX} AND EXISTS /usr/local/cuda/bin/nvcc)
    set(ENV{CUDACXX} /usr/local/cuda/bin/nvcc)
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # the tests put their own in front of it
    enable_language(CUDA)
    find_package(CUDAToolkit 12.0)
    if(CUDAToolkit_FOUND AND TARGET CUDA::cublas AND TARGET CUDA::cudart)
      set(PREGATE_WITH_CUDA TRUE)
      set(CMAKE_CUDA_STANDARD 17)
      set(CMAKE_CUDA_STANDARD_REQUIRED ON)
      # All that the kernels are for: their registers are checked on each, whatever is built.
      set(PREGATE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90)
      if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
        set(PREGATE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90-real 100-real 120)
      endif()
      if(pregate_architectures_are_default)
        set(CMAKE_CUDA_ARCHITECTURES ${PREGATE_CUDA_ARCHITECTURES})
      endif()
    endif()
  endif()
  if(PREGATE_CUDA STREQUAL "ON" AND NOT PREGATE_WITH_CUDA)
    message(FATAL_ERROR "PREGATE_CUDA=ON, but no working CUDA toolkit >= 12.0 with cuBLAS was found")
  endif()
endif()
message(STATUS "CUDA device: ${PREGATE_WITH_CUDA} ${CMAKE_CUDA_COMPILER_VERSION} ${CMAKE_CUDA_ARCHITECTURES}")
