# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# For builds that compile several files at a time (CMAKE_UNITY_BUILD: the sanitizers' presets, and what the linter
# reads). Files whose private names are also another's of the same library are compiled alone. When such a build says
# `redefinition of ...(anonymous namespace)...`, rename one of the two or add its file here.
if(CMAKE_UNITY_BUILD)
  # Both warnings take another file's private names for this one's; builds of single files have them.
  target_compile_options(pregate_warnings INTERFACE -Wno-shadow $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()

# compile_alone(target folder files...): paths are relative to the folder.
function(compile_alone target folder)
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/${folder}/)
  set_source_files_properties(${ARGN} TARGET_DIRECTORY ${target} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
compile_alone(pregate_models models document_toml.cpp model_toml.cpp model_validate.cpp units.cpp)
compile_alone(pregate_schedule sim/schedule schedule_json_reader.cpp)
compile_alone(pregate_sim sim report/perfetto.cpp run/guessed_run.cpp)
compile_alone(pregate_runtime runtime expert_store.cpp)
compile_alone(pregate_validation validation/published kernel_case.cpp replay_case.cpp)
