# SPDX-License-Identifier: Apache-2.0
# For CMAKE_PROJECT_INCLUDE, where ROS 2 comes as wheels: they export include folders of the machine that built
# them, and CMake refuses a target that names a folder which is not there. Drop those before generation.
cmake_minimum_required(VERSION 3.19)

function(drop_absent_include_folders)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT folders)
      continue()
    endif()
    set(present "")
    foreach(folder IN LISTS folders)
      if(NOT IS_ABSOLUTE "${folder}" OR EXISTS "${folder}")
        list(APPEND present "${folder}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${present}")
  endforeach()
endfunction()

cmake_language(DEFER CALL drop_absent_include_folders)
