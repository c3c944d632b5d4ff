# The names that pkg-config has for what rooms link; absl::x is absl_x.
set(AIMEM_MODULE_OpenSSL_Crypto libcrypto)
set(AIMEM_MODULE_OpenSSL_SSL libssl)
set(AIMEM_MODULE_PkgConfig_libutf8proc libutf8proc)
set(AIMEM_MODULE_PkgConfig_libpqxx libpqxx)
set(AIMEM_MODULE_PkgConfig_prometheus prometheus-cpp-core)
set(AIMEM_MODULE_SQLite_SQLite3 sqlite3)
set(AIMEM_MODULE_PostgreSQL_PostgreSQL libpq)
set(AIMEM_MODULE_protobuf_libprotobuf-lite protobuf-lite)
set(AIMEM_MODULE_gRPC_grpc++ grpc++)
set(AIMEM_MODULE_GTest_gtest gtest)
set(AIMEM_MODULE_GTest_gmock gmock)

# aimem_modules(OUT_MODULES OUT_FLAGS LIBRARY...): what a .pc file says for these.
function(aimem_modules out_modules out_flags)
  set(modules)
  set(flags)
  foreach(library IN LISTS ARGN)
    string(REPLACE "::" "_" key "${library}")
    if(library MATCHES "^\\$<BUILD_INTERFACE:")
      continue()
    elseif(library MATCHES "^\\$<INSTALL_INTERFACE:(.+)>$")
      list(APPEND flags -l${CMAKE_MATCH_1})
    elseif(library STREQUAL "Threads::Threads")
      list(APPEND flags -pthread)
    elseif(library MATCHES "^absl::(.+)$")
      list(APPEND modules absl_${CMAKE_MATCH_1})
    elseif(library MATCHES "^aimem::(.+)$")
      list(APPEND modules "aimem-${CMAKE_MATCH_1} = ${PROJECT_VERSION}")
    elseif(DEFINED AIMEM_MODULE_${key})
      list(APPEND modules ${AIMEM_MODULE_${key}})
    else()
      message(FATAL_ERROR "name the pkg-config module of ${library} in cmake/AimemInstallRoom.cmake")
    endif()
  endforeach()
  list(JOIN modules ", " modules)
  list(JOIN flags " " flags)
  set(${out_modules} "${modules}" PARENT_SCOPE)
  set(${out_flags} "${flags}" PARENT_SCOPE)
endfunction()

# aimem_install_room(NAME PUBLIC lib... PRIVATE lib...): library, headers, targets, .pc file.
function(aimem_install_room name)
  cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE" ${ARGN})
  target_include_directories(aimem_${name} PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  install(TARGETS aimem_${name} EXPORT aimem-${name} COMPONENT ${name}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
          FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT aimem-${name} NAMESPACE aimem:: FILE aimem-${name}-targets.cmake
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/aimem COMPONENT ${name})
  # Who links a static library links what is behind it as well; a shared one has done so.
  get_target_property(type aimem_${name} TYPE)
  if(type STREQUAL "SHARED_LIBRARY")
    set(ARG_PRIVATE)
  endif()
  aimem_modules(modules flags ${ARG_PUBLIC} ${ARG_PRIVATE})
  set(folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  file(RELATIVE_PATH up /p/${folder} /p)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/pkgconfig/aimem-${name}.pc @ONLY CONTENT
"prefix=\${pcfiledir}/@up@
libdir=\${prefix}/@CMAKE_INSTALL_LIBDIR@
includedir=\${prefix}/@CMAKE_INSTALL_INCLUDEDIR@

Name: aimem-@name@
Description: @PROJECT_DESCRIPTION@ (C++20)
Version: @PROJECT_VERSION@
Requires: @modules@
Libs: -L\${libdir} -laimem_@name@ @flags@
Cflags: -I\${includedir}
")
  install(FILES ${PROJECT_BINARY_DIR}/pkgconfig/aimem-${name}.pc DESTINATION ${folder}
          COMPONENT ${name})
endfunction()
