# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Modules: what needs a library of a device (CUDA, BLAS) is a shared object that the program opens with that device
# (runtime/module.hpp), so that it starts at once, and starts where the library is not.

# The program finds them beside itself, which is where a build has them, or here from its own folder, installed.
file(RELATIVE_PATH PREGATE_MODULE_FOLDER ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR}/pregate)

# A module has copies of the few functions of these that it calls.
function(pregate_linked_by_modules)
  foreach(library IN LISTS ARGN)
    set_target_properties(${library} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    # As good as code for a program: without it every call inside such a library goes through a table.
    target_compile_options(${library} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-semantic-interposition>)
  endforeach()
endfunction()

# pregate_module(name sources... LIBS libraries...): the target pregate_<name>_module, the file libpregate_<name>.so.
function(pregate_module name)
  cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
  set(target pregate_${name}_module)
  set(map ${PROJECT_SOURCE_DIR}/runtime/module.map)
  add_library(${target} MODULE ${arg_UNPARSED_ARGUMENTS})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME pregate_${name} PREFIX lib SUFFIX .so LINK_DEPENDS ${map}
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${arg_LIBS} pregate_module_build pregate_warnings)
  # One symbol goes out; what is missing is said by this linker, or when it is opened, not in the middle of a run.
  target_link_options(${target} PRIVATE -Wl,--version-script,${map} -Wl,-z,now)
  if(NOT PREGATE_SANITIZE)  # clang's sanitizers are in the program alone
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
endfunction()
