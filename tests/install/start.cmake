# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# The program loads the libraries of a device with that device: it starts small, does all else where they are not, and
# says what is missing where it needs them. They are made unusable by empty files of their names in front of them.
#   cmake -DPROGRAM=... -DMODULES=<folder> -DCUDA=<major version, or empty> -DSANITIZE=... -DFOLDER=<scratch> -P start.cmake
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER}/alone)
set(small --model ${CMAKE_CURRENT_LIST_DIR}/small.toml --prompt 4 --output 2 --policy on-demand)
set(in_front ${CMAKE_COMMAND} -E env --unset=PREGATE_MODULES LD_LIBRARY_PATH=${FOLDER}/unusable)
file(WRITE ${FOLDER}/unusable/libopenblas.so.0 "")
foreach(library cudart cublas cublasLt)
  file(WRITE ${FOLDER}/unusable/lib${library}.so.${CUDA} "")
endforeach()

# expect(status words...): runs it; standard output is in `output`, standard error in `errors`.
function(expect status)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT result EQUAL ${status})
    message(FATAL_ERROR "${ARGN}: ${result}, not ${status}\n${out}${err}")
  endif()
  set(output "${out}" PARENT_SCOPE)
  set(errors "${err}" PARENT_SCOPE)
endfunction()

# refuse(device problem hint words...): exit code 2 and one error of both.
function(refuse device problem hint)
  expect(2 ${ARGN} execute --device ${device} ${small})
  if(NOT errors MATCHES "^error: --device ${device}: [^\n]*${problem}[^\n]*\n       hint: [^\n]*${hint}[^\n]*\n$")
    message(FATAL_ERROR "not an error of '${problem}', '${hint}':\n${errors}")
  endif()
endfunction()

# Everything but a device, and the same results.
expect(0 ${in_front} ${PROGRAM} --help)
expect(0 ${in_front} ${PROGRAM} list policies)
expect(0 ${in_front} ${PROGRAM} compare ${small})
set(without "${output}")
expect(0 ${PROGRAM} compare ${small})
if(NOT output STREQUAL without OR NOT output MATCHES "on-demand")
  message(FATAL_ERROR "with the libraries of devices:\n${output}\nand without:\n${without}")
endif()
refuse(host "libpregate_blas.so cannot be loaded: [^\n]*libopenblas" "install it" ${in_front} ${PROGRAM})
if(CUDA)
  refuse(cuda "libpregate_cuda.so cannot be loaded: [^\n]*libcudart.so.${CUDA}" "LD_LIBRARY_PATH; --device host"
         ${in_front} ${PROGRAM})
else()
  refuse(cuda "built without CUDA" "-DPREGATE_CUDA=ON" ${in_front} ${PROGRAM})
endif()

# A program without its modules, and with their folder named.
file(COPY ${PROGRAM} DESTINATION ${FOLDER}/alone)
get_filename_component(name ${PROGRAM} NAME)
set(alone ${FOLDER}/alone/${name})
expect(0 ${alone} --help)
refuse(host "libpregate_blas.so is not in ${FOLDER}/alone or " PREGATE_MODULES
       ${CMAKE_COMMAND} -E env --unset=PREGATE_MODULES ${alone})
expect(0 ${CMAKE_COMMAND} -E env PREGATE_MODULES=${MODULES} ${alone} execute --device host ${small})

# Nothing large is mapped: CUDA's libraries alone would be many times this.
if(NOT SANITIZE)
  expect(0 sh -c "ulimit -v 65536 && exec '${PROGRAM}' --help")  # KiB
endif()
