# The architecture as data. An edge that is not here does not configure.
set(AIMEM_MAY_USE_core "")
set(AIMEM_MAY_USE_sqlite core)
set(AIMEM_MAY_USE_postgres core)
set(AIMEM_MAY_USE_ephemeral core)
set(AIMEM_MAY_USE_open core sqlite postgres ephemeral)  # OpenStore(url): the core knows no backend
set(AIMEM_MAY_USE_testing core)                         # the conformance suite, for hosts
set(AIMEM_MAY_USE_replication_protocol core)            # a state machine, without I/O or threads
set(AIMEM_MAY_USE_replication_node core replication_protocol)  # it, over a store and a transport
set(AIMEM_MAY_USE_replication core replication_protocol replication_node)  # the same, over gRPC
set(AIMEM_MAY_USE_http core)

# Outside the core only lib/base may be included, and what stands here.
set(AIMEM_LIB_OPEN_TO_replication_protocol log)
set(AIMEM_LIB_OPEN_TO_replication_node log execute store)  # request.h, hooks.h alone
set(AIMEM_LIB_OPEN_TO_http model transfer)  # the texts of errors, and the JSON shapes
# Folders of replication/ that a room may include.
set(AIMEM_REPLICATION_OPEN_TO_replication_protocol protocol)
set(AIMEM_REPLICATION_OPEN_TO_replication_node protocol node)
set(AIMEM_REPLICATION_OPEN_TO_replication protocol node grpc)

# Inside the core: which folder of lib/ may include which. Each uses only those named here.
set(AIMEM_LIB_MAY_USE_base "")
set(AIMEM_LIB_MAY_USE_model base)
set(AIMEM_LIB_MAY_USE_merge base model)
set(AIMEM_LIB_MAY_USE_log base model merge)
set(AIMEM_LIB_MAY_USE_text base)
set(AIMEM_LIB_MAY_USE_recall base model log text)
set(AIMEM_LIB_MAY_USE_execute base model merge log text recall)
set(AIMEM_LIB_MAY_USE_store base model merge log text recall execute)
set(AIMEM_LIB_MAY_USE_transfer base model merge log text recall store)

# aimem_check_edges(ROOM LIB...): refuse an aimem:: library that the table does not allow.
function(aimem_check_edges room)
  foreach(library IN LISTS ARGN)
    if(library MATCHES "^aimem::(.+)$")
      if(NOT CMAKE_MATCH_1 IN_LIST AIMEM_MAY_USE_${room})
        message(FATAL_ERROR "${room} must not use ${CMAKE_MATCH_1}: see cmake/AimemRooms.cmake")
      endif()
    endif()
  endforeach()
endfunction()

# Refuse an #include of another room's private folder, and of a higher folder inside lib/.
function(aimem_check_includes room root)
  set(depends CONFIGURE_DEPENDS)
  if(CMAKE_SCRIPT_MODE_FILE)
    set(depends)  # as tests/architecture calls it
  endif()
  file(GLOB_RECURSE files ${depends} ${root}/*.cc ${root}/*.h)
  foreach(path IN LISTS files)
    file(STRINGS ${path} lines REGEX "^#include \"(lib|backends|replication|services)/")
    foreach(line IN LISTS lines)
      string(REGEX MATCH "\"(lib|backends|replication|services)/([a-z_]+)/" unused "${line}")
      set(area ${CMAKE_MATCH_1})
      set(target ${CMAKE_MATCH_2})
      if(room STREQUAL "core")
        file(RELATIVE_PATH relative ${PROJECT_SOURCE_DIR}/lib ${path})
        string(REGEX REPLACE "/.*" "" folder ${relative})
        if(area STREQUAL "backends" OR
           (NOT target STREQUAL folder AND NOT target IN_LIST AIMEM_LIB_MAY_USE_${folder}))
          message(FATAL_ERROR "lib/${folder} must not include ${area}/${target}:\n  ${path}")
        endif()
      elseif(area STREQUAL "backends" AND NOT target STREQUAL room)
        message(FATAL_ERROR "${room} must not include backends/${target}:\n  ${path}")
      elseif(area STREQUAL "replication" AND
             NOT target IN_LIST AIMEM_REPLICATION_OPEN_TO_${room})
        message(FATAL_ERROR "${room} must not include replication/${target}:\n  ${path}")
      elseif(area STREQUAL "services" AND NOT target STREQUAL room)
        message(FATAL_ERROR "${room} must not include services/${target}:\n  ${path}")
      elseif(area STREQUAL "lib" AND NOT target STREQUAL "base" AND NOT room STREQUAL "testing" AND
             NOT target IN_LIST AIMEM_LIB_OPEN_TO_${room})
        message(FATAL_ERROR "${room} must not include lib/${target}:\n  ${path}")
      endif()
    endforeach()
  endforeach()
endfunction()

# aimem_room(NAME HEADERS h... SOURCES s... PUBLIC lib... PRIVATE lib...): one room, one target.
# HEADERS are the public ones under include/. PUBLIC takes aimem:: and absl:: only; the suite for
# hosts is a GoogleTest suite and shows that.
function(aimem_room name)
  cmake_parse_arguments(ARG "" "" "HEADERS;SOURCES;PUBLIC;PRIVATE" ${ARGN})
  aimem_check_edges(${name} ${ARG_PUBLIC} ${ARG_PRIVATE})
  foreach(library IN LISTS ARG_PUBLIC)
    if(NOT library MATCHES "^(aimem|absl)::" AND NOT (name STREQUAL testing AND
       library MATCHES "^GTest::"))
      message(FATAL_ERROR "${name}: ${library} must be PRIVATE; headers show only aimem and absl")
    endif()
  endforeach()
  aimem_check_includes(${name} ${CMAKE_CURRENT_SOURCE_DIR})
  set(target aimem_${name})
  add_library(${target} ${ARG_SOURCES})
  add_library(aimem::${name} ALIAS ${target})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include
                 FILES ${ARG_HEADERS})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE}
                        $<BUILD_INTERFACE:aimem_build>)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} VERIFY_INTERFACE_HEADER_SETS ON)
  aimem_share_headers(${target} rooms)
  set_property(GLOBAL APPEND PROPERTY AIMEM_ROOMS ${name})
  install(TARGETS ${target} EXPORT aimem-${name} COMPONENT ${name}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
          FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endfunction()

# aimem_program(NAME SOURCES s... LIBS lib...): an executable in bin/.
function(aimem_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} aimem_build aimem_watched)
  aimem_share_headers(${name} programs)
endfunction()

# aimem_test(NAME SOURCES s... LIBS lib... [LABELS l...] [ENV NAME=VALUE...] [TIMEOUT s] [FILTER f...]):
# one test binary; ctest runs it once per FILTER (a gtest filter), or whole.
function(aimem_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBS;LABELS;ENV;FILTER" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gmock GTest::gtest_main aimem_build
                        aimem_tested aimem_watched)
  aimem_share_headers(${name} tests)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)  # far above what any takes, sanitized on a busy machine: it hangs
  endif()
  set(names)
  if(ARG_FILTER)
    foreach(filter IN LISTS ARG_FILTER)
      string(REGEX REPLACE "[^A-Za-z0-9_.-]" "" suffix "${filter}")
      add_test(NAME ${name}.${suffix} COMMAND ${name} --gtest_filter=${filter} --gtest_brief=1)
      list(APPEND names ${name}.${suffix})
    endforeach()
  else()
    add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
    list(APPEND names ${name})
  endif()
  set_tests_properties(${names} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
                       ENVIRONMENT "${ARG_ENV}")
  # Debian's gRPC is not instrumented: what uses it is tested under ASan and UBSan alone.
  if("sanitize" IN_LIST ARG_LABELS OR
     ("asan" IN_LIST ARG_LABELS AND NOT AIMEM_SANITIZE STREQUAL "thread"))
    set_property(GLOBAL APPEND PROPERTY AIMEM_SANITIZE_TARGETS ${name})
  endif()
endfunction()
