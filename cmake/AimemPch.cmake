# Headers that nearly every file includes are compiled once for each way of compiling: half of the
# time that a file takes is spent in them. `./dev build` and `./dev lint` turn AIMEM_PCH off and so see
# whether each file includes what it uses.
if(AIMEM_FUZZ)
  set(AIMEM_PCH OFF)  # its options are not those of the others
endif()

if(AIMEM_PCH)
  # What is made for a program and for a library is alike, so that one compiled header serves both.
  target_compile_options(aimem_build INTERFACE -fPIC)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # ccache needs the first; the standard library is inlined here as if it were ours, and warned of.
    target_compile_options(aimem_build INTERFACE
      -fpch-preprocess -Wno-stringop-overread -Wno-stringop-overflow -Wno-array-bounds)
  endif()
  add_library(aimem_pch_rooms OBJECT ${CMAKE_CURRENT_LIST_DIR}/pch/empty.cc)
  target_link_libraries(aimem_pch_rooms PRIVATE aimem_build)
  target_precompile_headers(aimem_pch_rooms PRIVATE ${CMAKE_CURRENT_LIST_DIR}/pch/rooms.h)
  if(AIMEM_TESTS)
    find_package(GTest REQUIRED)
    add_executable(aimem_pch_tests EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/pch/empty.cc)
    target_link_libraries(aimem_pch_tests PRIVATE aimem_build aimem_tested GTest::gmock)
    target_precompile_headers(aimem_pch_tests PRIVATE ${CMAKE_CURRENT_LIST_DIR}/pch/tests.h)
  endif()
endif()

# aimem_share_headers(TARGET KIND): rooms, for what is no test too, or tests.
function(aimem_share_headers target kind)
  if(kind STREQUAL "tests")
    target_link_libraries(${target} PRIVATE aimem_tested)  # compiled as the header was
  endif()
  if(AIMEM_PCH)
    target_precompile_headers(${target} REUSE_FROM aimem_pch_${kind})
  endif()
endfunction()
