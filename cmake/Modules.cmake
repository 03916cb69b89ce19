# vm_module(<name> SOURCES a.cc ... [TESTS a_test.cc ...] [DEPENDS vm_x Boost::headers ...]
#           [FUZZERS x_fuzz.cc ...] [BENCHMARKS x_benchmark.cc ...])
#
# One folder, one static library vm_<name>, one test binary vm_<name>_test. A module without
# SOURCES is an interface library.
include(GoogleTest)

# Sources whose loops over numbers are worth vector instructions: -O2 of GCC 12 hardly uses them.
# Results stay the same bits: sums keep their order.
macro(vm_vectorize)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:RelWithDebInfo>:-O3>")
endmacro()

function(vm_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;TESTS;DEPENDS;FUZZERS;BENCHMARKS" ${ARGN})
  set(target vm_${name})
  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} PUBLIC ${ARG_DEPENDS})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} INTERFACE ${ARG_DEPENDS})
  endif()
  if(ARG_TESTS)
    add_executable(${target}_test ${ARG_TESTS})
    target_link_libraries(${target}_test PRIVATE ${target} GTest::gtest GTest::gmock
                          GTest::gtest_main nlohmann_json::nlohmann_json fmt::fmt)
    target_compile_definitions(${target}_test PRIVATE
      VM_SHARED_DIR="${CMAKE_SOURCE_DIR}/../shared" VM_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    add_test(NAME ${target}_test COMMAND ${target}_test)
    set_tests_properties(${target}_test PROPERTIES LABELS unit TIMEOUT 300)
  endif()
  if(VM_FUZZ)
    foreach(source ${ARG_FUZZERS})
      get_filename_component(fuzzer ${source} NAME_WE)
      add_executable(${fuzzer} ${source})
      target_link_libraries(${fuzzer} PRIVATE ${target})
      target_compile_options(${fuzzer} PRIVATE -fsanitize=fuzzer)
      target_link_options(${fuzzer} PRIVATE -fsanitize=fuzzer)
    endforeach()
  endif()
  if(VM_BENCHMARKS)
    foreach(source ${ARG_BENCHMARKS})
      get_filename_component(bench ${source} NAME_WE)
      add_executable(${bench} ${source})
      target_link_libraries(${bench} PRIVATE ${target} benchmark::benchmark benchmark::benchmark_main)
    endforeach()
  endif()
endfunction()

# Add the sub-folders that are modules, in the order of the layers.
function(vm_add_modules)
  foreach(folder ${ARGN})
    if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt")
      add_subdirectory(${folder})
    endif()
  endforeach()
endfunction()
