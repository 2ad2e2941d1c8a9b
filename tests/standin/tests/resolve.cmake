# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# cmake -DLIBRARIES=<folder> -DPROGRAMS=<a;b> -P resolve.cmake
# Fails when a program, with the libraries in front, has an undefined symbol or takes CUDA from elsewhere.
foreach(program IN LISTS PROGRAMS)
  execute_process(COMMAND ${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${LIBRARIES} ldd -r ${program}
                  OUTPUT_VARIABLE text ERROR_VARIABLE text RESULT_VARIABLE status)
  if(NOT status EQUAL 0 OR text MATCHES "undefined symbol|not found|no version information")
    message(FATAL_ERROR "${program}:\n${text}")
  endif()
  string(REGEX MATCHALL "lib(cudart|cublas)[^\n]*=> [^\n]*" lines "${text}")
  if(NOT lines)
    message(FATAL_ERROR "${program} does not link the CUDA runtime dynamically:\n${text}")
  endif()
  foreach(line IN LISTS lines)
    string(FIND "${line}" "=> ${LIBRARIES}/" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "${program}: not from the stand-in: ${line}")
    endif()
  endforeach()
endforeach()
