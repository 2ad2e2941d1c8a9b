# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Installs the program (component `program`), and the libraries, their headers and a CMake package `pregate` (component
# `development`).
include(CMakePackageConfigHelpers)

install(TARGETS pregate_models pregate_traces pregate_schedule pregate_engine pregate_sim
        EXPORT pregate_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(TARGETS pregate_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(TARGETS pregate_blas_module LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/pregate COMPONENT program)
if(TARGET pregate_cbc_module)
  install(TARGETS pregate_cbc_module LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/pregate COMPONENT program)
endif()
if(PREGATE_WITH_CUDA)
  # Of its own, as Debian's packages do not hold it: they can say nothing of NVIDIA's libraries.
  install(TARGETS pregate_cuda_module LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/pregate COMPONENT cuda)
endif()
install(FILES cli/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME pregate
        COMPONENT program)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/pregate RENAME copyright COMPONENT program)
# Headers of one part's inside are left out: they need libraries that a user of pregate need not have.
foreach(folder models traces sim)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/pregate
          COMPONENT development FILES_MATCHING PATTERN "*.hpp"
          PATTERN "catalog" EXCLUDE PATTERN "impl" EXCLUDE PATTERN "import" EXCLUDE PATTERN "profiles" EXCLUDE
          PATTERN "config_json.hpp" EXCLUDE PATTERN "fields_json.hpp" EXCLUDE PATTERN "metric_lists.hpp" EXCLUDE)
endforeach()
install(EXPORT pregate_targets NAMESPACE pregate:: FILE pregate-targets.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pregate COMPONENT development)
configure_package_config_file(cmake/pregate-config.cmake.in pregate-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pregate)
write_basic_package_version_file(pregate-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/pregate-config.cmake
              ${PROJECT_BINARY_DIR}/pregate-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pregate COMPONENT development)
