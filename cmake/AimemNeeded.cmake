# Finds what the chosen rooms need, and nothing else.
include(AimemDependencies)
set(needed)
foreach(room IN LISTS AIMEM_CHOSEN_ROOMS)
  list(APPEND needed ${AIMEM_NEEDS_${room}} ${AIMEM_BUILDS_WITH_${room}})
endforeach()
if(AIMEM_PROGRAM)
  list(APPEND needed ${AIMEM_PROGRAM_NEEDS})
endif()
if(AIMEM_TESTS OR AIMEM_BENCH)
  list(APPEND needed ${AIMEM_TESTS_NEED})
endif()
if(AIMEM_PROGRAM AND AIMEM_TCMALLOC AND NOT AIMEM_SANITIZE)  # sanitizers bring allocators of their own
  list(APPEND needed tcmalloc)
endif()
list(REMOVE_DUPLICATES needed)
foreach(dependency IN LISTS needed)  # SQLite3: another one with -DSQLite3_ROOT=/its/prefix
  aimem_find(${dependency} REQUIRED)
endforeach()
find_path(AIMEM_STEMMER_INCLUDE libstemmer.h REQUIRED)
mark_as_advanced(AIMEM_STEMMER_INCLUDE)

# https://www.sqlite.org/wal.html#walresetbug; docs/architecture.md, "Many processes"
set(AIMEM_SQLITE_MENDED FALSE)
if(SQLite3_VERSION VERSION_GREATER_EQUAL 3.51.3
   OR (SQLite3_VERSION VERSION_GREATER_EQUAL 3.50.7 AND SQLite3_VERSION VERSION_LESS 3.51)
   OR (SQLite3_VERSION VERSION_GREATER_EQUAL 3.44.6 AND SQLite3_VERSION VERSION_LESS 3.45))
  set(AIMEM_SQLITE_MENDED TRUE)
endif()
if(SQLite3 IN_LIST needed AND NOT AIMEM_SQLITE_MENDED)
  message(STATUS "SQLite ${SQLite3_VERSION} has the WAL-reset bug. aimem's own locks keep its "
                 "processes clear of it; two other programs on one file are not. Mended in 3.51.3, "
                 "3.50.7 and 3.44.6: -DSQLite3_ROOT=")
endif()
