# CMAKE_UNITY_BUILD compiles eight files at once: most of what a file costs is its headers and the
# templates that it shares with its neighbours. The files of these targets share names too, so they
# are compiled one by one.
foreach(target aimem_demo federation_member_test local_store_test log_test sqlite_backend_test
               wire_test)
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
  endif()
endforeach()
