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
set(AIMEM_MAY_USE_wire core)                            # JSON and values, both ways
set(AIMEM_MAY_USE_web core)                             # HTTP, whatever is served
set(AIMEM_MAY_USE_http core web wire)                   # the HTTP API: services/rest
set(AIMEM_MAY_USE_mcp core web wire)                    # the tools of agents

# What a room needs besides, where it is linked, by the names of AimemDependencies.cmake …
set(AIMEM_NEEDS_core Threads absl OpenSSL libutf8proc stemmer)
set(AIMEM_NEEDS_sqlite SQLite3)
set(AIMEM_NEEDS_postgres libpqxx PostgreSQL)
set(AIMEM_NEEDS_testing GTest)
set(AIMEM_NEEDS_replication Protobuf gRPC)
set(AIMEM_NEEDS_http prometheus)
# … and what it is built with: headers, and programs that write code.
set(AIMEM_BUILDS_WITH_core nlohmann_json)
set(AIMEM_BUILDS_WITH_open nlohmann_json)
set(AIMEM_BUILDS_WITH_web Boost)
set(AIMEM_BUILDS_WITH_wire nlohmann_json)
set(AIMEM_BUILDS_WITH_mcp nlohmann_json)
# What the program and the tests need beyond the rooms.
set(AIMEM_PROGRAM_NEEDS CLI11 Boost nlohmann_json)
set(AIMEM_TESTS_NEED GTest ${AIMEM_PROGRAM_NEEDS})

# Outside the core only lib/base may be included, and what stands here. lib/store/hooks.h is how a
# store is opened by whoever serves a member: hosts have StoreOptions alone.
set(AIMEM_LIB_OPEN_TO_replication_protocol log)
set(AIMEM_LIB_OPEN_TO_replication_node log execute store)  # request.h, hooks.h alone
set(AIMEM_LIB_OPEN_TO_wire model recall transfer)  # texts of errors, scores, JSON as text
set(AIMEM_LIB_OPEN_TO_http model)                  # texts of errors
set(AIMEM_LIB_OPEN_TO_mcp model)                   # rules, times
# Of a folder that is opened for one header: how the names begin that a shared library shows of it.
set(AIMEM_LIB_SHOWS_store Open)
set(AIMEM_LIB_SHOWS_execute ApproximateBytes)
# Folders of replication/ that a room may include.
set(AIMEM_REPLICATION_OPEN_TO_replication_protocol protocol)
set(AIMEM_REPLICATION_OPEN_TO_replication_node protocol node)
set(AIMEM_REPLICATION_OPEN_TO_replication protocol node grpc)
# Folders of services/ that a room may include.
set(AIMEM_SERVICES_OPEN_TO_wire wire)
set(AIMEM_SERVICES_OPEN_TO_web web)
set(AIMEM_SERVICES_OPEN_TO_http rest web wire)
set(AIMEM_SERVICES_OPEN_TO_mcp mcp web wire)

# What stands beside the product: it may use this of it, and no room may use it.
set(AIMEM_SERVICES_OPEN_TO_campaign wire)
set(AIMEM_CLIENTS_OPEN_TO_http_client http)
set(AIMEM_CLIENTS_OPEN_TO_campaign http)
set(AIMEM_SUPPORT_OPEN_TO_campaign federation postgres process)
set(AIMEM_CAMPAIGN_OPEN_TO campaign demo)
set(AIMEM_LIB_OPEN_TO_demo recall)  # the scan, beside the index

# Inside the core: which folder of lib/ may include which. Each uses only those named here.
set(AIMEM_LIB_MAY_USE_base "")
set(AIMEM_LIB_MAY_USE_model base)
set(AIMEM_LIB_MAY_USE_merge base model)
set(AIMEM_LIB_MAY_USE_log base model merge)
set(AIMEM_LIB_MAY_USE_text base)
set(AIMEM_LIB_MAY_USE_index base model log text)
set(AIMEM_LIB_MAY_USE_recall base model log text index)
set(AIMEM_LIB_MAY_USE_execute base model merge log text index recall)
set(AIMEM_LIB_MAY_USE_changes base model merge log text index recall execute)
set(AIMEM_LIB_MAY_USE_store base model merge log text index recall execute changes)
set(AIMEM_LIB_MAY_USE_transfer base model merge log text index recall store)
set(AIMEM_LIB_MAY_USE_intents base model log)  # over the public Store alone

# Every room has a line of AIMEM_MAY_USE.
get_cmake_property(AIMEM_ALL_ROOMS VARIABLES)
list(FILTER AIMEM_ALL_ROOMS INCLUDE REGEX "^AIMEM_MAY_USE_")
list(TRANSFORM AIMEM_ALL_ROOMS REPLACE "^AIMEM_MAY_USE_" "")

# aimem_with_used(OUT ROOM...): those rooms and all that they may use, each after what it may use.
function(aimem_with_used out)
  set(all)
  foreach(room IN LISTS ARGN)
    if(NOT room IN_LIST all)
      aimem_with_used(used ${AIMEM_MAY_USE_${room}})
      list(APPEND all ${used} ${room})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES all)
  set(${out} "${all}" PARENT_SCOPE)
endfunction()

# aimem_choose_rooms(WANTED): "all", or names. Sets AIMEM_CHOSEN_ROOMS, those that are built.
function(aimem_choose_rooms wanted)
  if(wanted STREQUAL "all")
    set(wanted ${AIMEM_ALL_ROOMS})
  endif()
  foreach(room IN LISTS wanted)
    if(NOT room IN_LIST AIMEM_ALL_ROOMS)
      list(JOIN AIMEM_ALL_ROOMS ", " known)
      message(FATAL_ERROR "AIMEM_ROOMS: there is no room '${room}'. It takes all, or some of: ${known}")
    endif()
  endforeach()
  aimem_with_used(rooms core ${wanted})
  set(AIMEM_CHOSEN_ROOMS "${rooms}" PARENT_SCOPE)
endfunction()

# aimem_enter(ROOM FOLDER): the room that lies there, if it is built.
function(aimem_enter room folder)
  if(room IN_LIST AIMEM_CHOSEN_ROOMS)
    add_subdirectory(${folder})
  endif()
endfunction()

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

# aimem_dependency_of(LIBRARY OUT): what AimemDependencies.cmake calls that which has this target.
function(aimem_dependency_of library out)
  set(dependency)
  if(library MATCHES "^(aimem|PkgConfig)::(.+)$")
    if(CMAKE_MATCH_1 STREQUAL "PkgConfig")
      set(dependency ${CMAKE_MATCH_2})
    endif()
  elseif(library STREQUAL "SQLite::SQLite3")
    set(dependency SQLite3)
  elseif(library MATCHES "^protobuf::")
    set(dependency Protobuf)
  elseif(library MATCHES "^(.+)::")
    set(dependency ${CMAKE_MATCH_1})
  endif()
  set(${out} "${dependency}" PARENT_SCOPE)
endfunction()

# aimem_check_needs(ROOM NEEDS LIBRARY...): refuse what a room links and the table does not name.
function(aimem_check_needs room needs)
  aimem_with_used(used ${room})
  foreach(other IN LISTS used)
    list(APPEND needs ${AIMEM_NEEDS_${other}})
  endforeach()
  foreach(library IN LISTS ARGN)
    string(REGEX REPLACE "^\\$<[A-Z_]+:(.*)>$" "\\1" library "${library}")
    aimem_dependency_of("${library}" dependency)
    if(dependency AND NOT dependency IN_LIST needs)
      message(FATAL_ERROR "${room} links ${library}: name ${dependency} in cmake/AimemRooms.cmake")
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
    file(STRINGS ${path} lines REGEX "^#include \"campaign/")
    if(lines AND NOT room IN_LIST AIMEM_CAMPAIGN_OPEN_TO)
      message(FATAL_ERROR "${room} must not include campaign:\n  ${path}")
    endif()
    set(areas "lib|backends|replication|services|clients|support")
    file(STRINGS ${path} lines REGEX "^#include \"(${areas})/")
    foreach(line IN LISTS lines)
      string(REGEX MATCH "\"(${areas})/([a-z_]+)/" unused "${line}")
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
      elseif(area STREQUAL "services" AND NOT target IN_LIST AIMEM_SERVICES_OPEN_TO_${room})
        message(FATAL_ERROR "${room} must not include services/${target}:\n  ${path}")
      elseif(area STREQUAL "clients" AND NOT target IN_LIST AIMEM_CLIENTS_OPEN_TO_${room})
        message(FATAL_ERROR "${room} must not include clients/${target}:\n  ${path}")
      elseif(area STREQUAL "support" AND NOT target IN_LIST AIMEM_SUPPORT_OPEN_TO_${room})
        message(FATAL_ERROR "${room} must not include support/${target}:\n  ${path}")
      elseif(area STREQUAL "lib" AND NOT target STREQUAL "base" AND NOT room STREQUAL "testing" AND
             NOT target IN_LIST AIMEM_LIB_OPEN_TO_${room})
        message(FATAL_ERROR "${room} must not include lib/${target}:\n  ${path}")
      endif()
    endforeach()
  endforeach()
endfunction()

# aimem_limit_exports(ROOM HEADERS): what a shared library shows: the names of namespace aimem that
# begin with a capital letter, and of what is opened to other rooms; one without public headers
# serves other rooms alone, and shows them all. This is a version script, so that an object is the
# same in a static library and in a shared one.
function(aimem_limit_exports room headers)
  get_target_property(type aimem_${room} TYPE)
  if(NOT type STREQUAL "SHARED_LIBRARY")
    return()
  endif()
  set(shown aimem::[A-Z]* aimem::operator*)
  if(room STREQUAL "core")
    foreach(other IN LISTS AIMEM_ALL_ROOMS)
      foreach(folder IN LISTS AIMEM_LIB_OPEN_TO_${other})
        list(APPEND shown aimem::${folder}::${AIMEM_LIB_SHOWS_${folder}}*)
      endforeach()
    endforeach()
    list(REMOVE_DUPLICATES shown)
  elseif(NOT headers)
    set(shown aimem::*)
  endif()
  if(AIMEM_TESTS)  # they look behind everything
    set(shown aimem::*)
  endif()
  # A space is written ?, for what is quoted is no pattern.
  set(lines)
  foreach(name IN LISTS shown)
    foreach(kind "" vtable?for? VTT?for? typeinfo?for? typeinfo?name?for? guard?variable?for?
                 non-virtual?thunk?to? virtual?thunk?to?)
      string(APPEND lines "      ${kind}${name};\n")
    endforeach()
  endforeach()
  set(script ${PROJECT_BINARY_DIR}/exports/${room}.map)
  file(CONFIGURE OUTPUT ${script} @ONLY
       CONTENT "{\n  global:\n    extern \"C++\" {\n${lines}    };\n  local: *;\n};\n")
  target_link_options(aimem_${room} PRIVATE -Wl,--no-undefined -Wl,--version-script=${script})
  set_target_properties(aimem_${room} PROPERTIES LINK_DEPENDS ${script}
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    INSTALL_RPATH "\$ORIGIN")
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
  aimem_check_needs(${name} "${AIMEM_NEEDS_${name}};${AIMEM_BUILDS_WITH_${name}}"
                    ${ARG_PUBLIC} ${ARG_PRIVATE})
  set(target aimem_${name})
  add_library(${target} ${ARG_SOURCES})
  add_library(aimem::${name} ALIAS ${target})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include
                 FILES ${ARG_HEADERS})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE}
                        $<BUILD_INTERFACE:aimem_build>)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} VERIFY_INTERFACE_HEADER_SETS ON)
  aimem_share_headers(${target} rooms)
  aimem_limit_exports(${name} "${ARG_HEADERS}")
  if(AIMEM_INSTALL)
    aimem_install_room(${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  endif()
endfunction()

# aimem_program(NAME SOURCES s... LIBS lib...): an executable in bin/.
function(aimem_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} aimem_build aimem_watched)
  aimem_share_headers(${name} rooms)
endfunction()

# aimem_test(NAME SOURCES s... LIBS lib... [LABELS l...] [ENV NAME=VALUE...] [TIMEOUT s] [FILTER f...]):
# one test binary; ctest runs it once per FILTER (a gtest filter), or whole.
function(aimem_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBS;LABELS;ENV;FILTER" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gmock GTest::gtest_main aimem_build
                        aimem_watched)
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
