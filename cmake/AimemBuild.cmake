# How everything is compiled: the language, the warnings, the linker, the sanitizers. What this sets
# ends with the folders of this project.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(AIMEM_INSTALL)
  include(GNUInstallDirs)
endif()

# Another project has a build type, flags, a linker and a cache of its own.
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
  endif()

  # The compiler's cache: a clone in another folder hits it too. What a unity build compiles names the
  # folder, and is known only when preprocessed; elsewhere a miss is spared that (CCACHE_DEPEND).
  find_program(AIMEM_CCACHE ccache)
  if(AIMEM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(ccache_env ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
        CCACHE_SLOPPINESS=pch_defines,time_macros)
    if(NOT CMAKE_UNITY_BUILD)
      list(APPEND ccache_env CCACHE_DEPEND=1)
    endif()
    list(APPEND ccache_env ${AIMEM_CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${ccache_env})
    set(CMAKE_C_COMPILER_LAUNCHER ${ccache_env})
  endif()

  # GCC clears its memory away once a file, which takes a tenth of the time and frees 30 MB.
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=524288>)

  find_program(AIMEM_MOLD mold)
  if(AIMEM_MOLD AND NOT AIMEM_FUZZ)
    add_link_options(-fuse-ld=mold)
  endif()
endif()

# Interface target that every room, test and program of this project compiles with; not exported.
add_library(aimem_build INTERFACE)
if(AIMEM_WARNINGS)
  target_compile_options(aimem_build INTERFACE
    -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wno-sign-conversion
    -Wno-missing-field-initializers -Wnon-virtual-dtor
    -Woverloaded-virtual -Wcast-qual -Wformat=2 -Wimplicit-fallthrough)
endif()
# Some libraries ask for it, and then all files have to be compiled alike (AimemPch.cmake).
target_compile_options(aimem_build INTERFACE -pthread)
# At -O3, and of values not set also where it sees eight files at once, GCC 12 sees overlaps and values
# not set in inlined std::string that are not there (its bugs 105651, 105562).
target_compile_options(aimem_build INTERFACE
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-restrict>
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<OR:$<CONFIG:Release>,$<BOOL:${CMAKE_UNITY_BUILD}>>>:-Wno-maybe-uninitialized>)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(aimem_build INTERFACE -Wthread-safety)
endif()
target_include_directories(aimem_build INTERFACE ${PROJECT_SOURCE_DIR})

if(AIMEM_SANITIZE)
  add_compile_options(-fsanitize=${AIMEM_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${AIMEM_SANITIZE})
  # GCC sees false positives in instrumented standard library code.
  target_compile_options(aimem_build INTERFACE
    -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds -Wno-restrict -Wno-tsan)
endif()
# What tests compile with besides. They are many and run once: compiling them well costs more than
# it saves. Watching a test itself for undefined behaviour would take four times as long as the rest.
add_library(aimem_tested INTERFACE)
target_compile_options(aimem_tested INTERFACE $<$<CONFIG:RelWithDebInfo>:-O1>)
if(AIMEM_SANITIZE)
  target_compile_options(aimem_tested INTERFACE -O0)
endif()
if(AIMEM_SANITIZE MATCHES "undefined")
  target_compile_options(aimem_tested INTERFACE -fno-sanitize=undefined)
endif()
# What every executable of ours brings along.
add_library(aimem_watched INTERFACE)
if(AIMEM_SANITIZE STREQUAL "thread")
  add_library(aimem_tsan OBJECT ${PROJECT_SOURCE_DIR}/cmake/tsan_suppressions.cc)
  target_sources(aimem_watched INTERFACE $<TARGET_OBJECTS:aimem_tsan>)
endif()
if(AIMEM_COVERAGE)
  add_compile_options(--coverage -O0)
  add_link_options(--coverage)
endif()
