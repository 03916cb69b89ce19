# Compiler flags, sanitizers, ccache and the linker.
option(VM_WERROR "Treat warnings as errors" OFF)
set(VM_SANITIZE "" CACHE STRING "Value of -fsanitize=: empty, address,undefined or thread")
option(VM_FUZZ "Build libFuzzer targets (clang)" OFF)
option(VM_BENCHMARKS "Build Google Benchmark programs" OFF)

if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(VM_CCACHE ccache)
  if(VM_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
        "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" "CCACHE_NOHASHDIR=1"
        "CCACHE_SLOPPINESS=pch_defines,time_macros" "${VM_CCACHE}")
  endif()
endif()
find_program(VM_MOLD mold)
if(VM_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Decimal conversion must give the same bits on every machine: no fused multiply-add.
add_compile_options(-Wall -Wextra -ffp-contract=off -fno-strict-aliasing)
if(VM_WERROR)
  add_compile_options(-Werror)
endif()
if(VM_FUZZ)
  # Whole modules, not only the targets: libFuzzer follows what it sees of the decoders.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(VM_SANITIZE)
  add_compile_options(-fsanitize=${VM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${VM_SANITIZE})
  if(VM_SANITIZE STREQUAL "thread")
    # TSan does not model fences.
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
    add_compile_options(-Wno-tsan)
  endif()
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION
                        BOOST_BEAST_SEPARATE_COMPILATION)
