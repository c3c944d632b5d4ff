# One component a room: an application that wants SQLite alone installs and finds that alone.
include(CMakePackageConfigHelpers)
set(AIMEM_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/aimem)
get_property(rooms GLOBAL PROPERTY AIMEM_ROOMS)
foreach(room IN LISTS rooms)
  install(EXPORT aimem-${room} NAMESPACE aimem:: FILE aimem-${room}-targets.cmake
          DESTINATION ${AIMEM_CMAKE_DIR} COMPONENT ${room})
endforeach()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/aimem-config.cmake.in
  ${PROJECT_BINARY_DIR}/aimem-config.cmake INSTALL_DESTINATION ${AIMEM_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/aimem-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/aimem-config.cmake
              ${PROJECT_BINARY_DIR}/aimem-config-version.cmake
        DESTINATION ${AIMEM_CMAKE_DIR} COMPONENT core)
