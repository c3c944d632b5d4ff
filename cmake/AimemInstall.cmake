# One component a room: an application that wants SQLite alone installs and finds that alone. What
# the configuration says of rooms is the table of AimemRooms.cmake.
include(CMakePackageConfigHelpers)
set(AIMEM_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/aimem)
set(table "set(_aimem_rooms ${AIMEM_ALL_ROOMS})\n")
foreach(room IN LISTS AIMEM_ALL_ROOMS)
  aimem_with_used(uses ${AIMEM_MAY_USE_${room}})
  set(needs ${AIMEM_NEEDS_${room}})
  if(BUILD_SHARED_LIBS)  # it has linked what its headers do not show
    list(FILTER needs INCLUDE REGEX "^(absl|GTest)$")
  endif()
  string(APPEND table "set(_aimem_uses_${room} ${uses})\nset(_aimem_needs_${room} ${needs})\n")
endforeach()
string(REPLACE ";" " " table "${table}")
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/aimem-config.cmake.in
  ${PROJECT_BINARY_DIR}/aimem-config.cmake INSTALL_DESTINATION ${AIMEM_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/aimem-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/aimem-config.cmake
              ${PROJECT_BINARY_DIR}/aimem-config-version.cmake
              ${PROJECT_SOURCE_DIR}/cmake/AimemDependencies.cmake
        DESTINATION ${AIMEM_CMAKE_DIR} COMPONENT core)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT core)
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs ${PROJECT_SOURCE_DIR}/examples
        DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc)
# After the headers, so that it is seen which are there.
install(CODE "set(DOCDIR \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DOCDIR})
set(INCLUDEDIR \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR})
include(${PROJECT_SOURCE_DIR}/cmake/AimemInstallPages.cmake)" COMPONENT doc)

if(TARGET aimem)
  if(BUILD_SHARED_LIBS)
    file(RELATIVE_PATH to_libraries /p/${CMAKE_INSTALL_BINDIR} /p/${CMAKE_INSTALL_LIBDIR})
    set_target_properties(aimem PROPERTIES INSTALL_RPATH "\$ORIGIN/${to_libraries}")
  endif()
  install(TARGETS aimem COMPONENT aimem RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
