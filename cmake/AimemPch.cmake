# Headers that nearly every file includes are compiled once for each way of compiling: half of the
# time that a file takes is spent in them. `./dev build` and `./dev lint` turn AIMEM_PCH off and so see
# whether each file includes what it uses.
if(AIMEM_FUZZ)
  set(AIMEM_PCH OFF)  # its options are not those of the others
endif()

if(AIMEM_PCH)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # ccache needs the first; the standard library is inlined here as if it were ours, and warned of.
    target_compile_options(aimem_build INTERFACE
      -fpch-preprocess -Wno-stringop-overread -Wno-stringop-overflow -Wno-array-bounds)
  endif()
  add_library(aimem_pch_rooms OBJECT ${CMAKE_CURRENT_LIST_DIR}/pch/empty.cc)
  add_executable(aimem_pch_programs EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/pch/empty.cc)
  foreach(kind rooms programs)
    target_link_libraries(aimem_pch_${kind} PRIVATE aimem_build)
    target_precompile_headers(aimem_pch_${kind} PRIVATE ${CMAKE_CURRENT_LIST_DIR}/pch/rooms.h)
  endforeach()
  if(AIMEM_TESTS)
    find_package(GTest REQUIRED)
    add_executable(aimem_pch_tests EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/pch/empty.cc)
    target_link_libraries(aimem_pch_tests PRIVATE aimem_build aimem_tested GTest::gmock)
    target_precompile_headers(aimem_pch_tests PRIVATE ${CMAKE_CURRENT_LIST_DIR}/pch/tests.h)
  endif()
endif()

# aimem_share_headers(TARGET KIND): rooms, programs or tests.
function(aimem_share_headers target kind)
  if(AIMEM_PCH)
    target_precompile_headers(${target} REUSE_FROM aimem_pch_${kind})
  endif()
endfunction()
