# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# Debian packages by CPack: `pregate`, the program with its manual pages and completion, and `libpregate-dev`, the
# libraries. scripts/package.sh makes them. Without the CUDA device, which is built where its toolkit is.
option(PREGATE_MAN_PAGES "Make manual pages of the program's own help (needs help2man)" OFF)

if(PREGATE_MAN_PAGES)
  find_program(HELP2MAN help2man REQUIRED)
  set(pages)
  foreach(command IN ITEMS "" advise analyze calibrate compare execute list "model show" place simulate sweep "trace check"
          "trace export" "trace fit" "trace generate" "trace import" "trace info" "trace replay" "validate device" "validate published")
    string(REPLACE " " "-" page "pregate ${command}")
    string(REGEX REPLACE "-$" "" page "${page}")
    string(STRIP "pregate ${command}" words)
    set(page ${PROJECT_BINARY_DIR}/man/${page}.1)
    list(APPEND pages ${page})
    add_custom_command(OUTPUT ${page}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
      COMMAND ${CMAKE_COMMAND} -E env PATH=$<TARGET_FILE_DIR:pregate_cli>:$ENV{PATH}
              ${HELP2MAN} --no-info --no-discard-stderr --version-string=${PROJECT_VERSION}
              "--name=simulates Mixture-of-Experts offloading" --output=${page} "${words}"
      DEPENDS pregate_cli VERBATIM)
  endforeach()
  add_custom_target(pregate_man ALL DEPENDS ${pages})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "The pregate authors <pregate@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_VENDOR "The pregate authors")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program development)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION
  "How fast a Mixture-of-Experts model runs on a machine when its experts do not all fit in GPU memory, under which
 policy, and why: hardware what-ifs, replay of recorded routing, advice.")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "Libraries, headers and the CMake package of pregate.")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME pregate)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libpregate-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libsqlite3-dev, zlib1g-dev, libzstd-dev, libssl-dev, libtomlplusplus-dev")
include(CPack)
