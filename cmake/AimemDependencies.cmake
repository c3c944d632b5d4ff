# Everything comes from Debian 12's packages; docs/dependencies.md says why each is here.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(Boost 1.74 REQUIRED)
pkg_check_modules(prometheus REQUIRED IMPORTED_TARGET prometheus-cpp-core)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(SQLite3 REQUIRED)  # another one: -DSQLite3_ROOT=/its/prefix
pkg_check_modules(libpqxx REQUIRED IMPORTED_TARGET libpqxx)
find_package(PostgreSQL REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
pkg_check_modules(libutf8proc REQUIRED IMPORTED_TARGET libutf8proc)
find_library(AIMEM_STEMMER stemmer REQUIRED)
find_path(AIMEM_STEMMER_INCLUDE libstemmer.h REQUIRED)
mark_as_advanced(AIMEM_STEMMER AIMEM_STEMMER_INCLUDE)
if(AIMEM_TCMALLOC AND NOT AIMEM_SANITIZE)  # sanitizers bring allocators of their own
  pkg_check_modules(tcmalloc REQUIRED IMPORTED_TARGET libtcmalloc_minimal)
endif()
# https://www.sqlite.org/wal.html#walresetbug; docs/architecture.md, "Many processes"
set(AIMEM_SQLITE_MENDED FALSE)
if(SQLite3_VERSION VERSION_GREATER_EQUAL 3.51.3
   OR (SQLite3_VERSION VERSION_GREATER_EQUAL 3.50.7 AND SQLite3_VERSION VERSION_LESS 3.51)
   OR (SQLite3_VERSION VERSION_GREATER_EQUAL 3.44.6 AND SQLite3_VERSION VERSION_LESS 3.45))
  set(AIMEM_SQLITE_MENDED TRUE)
endif()
if(NOT AIMEM_SQLITE_MENDED)
  message(STATUS "SQLite ${SQLite3_VERSION} has the WAL-reset bug. aimem's own locks keep its "
                 "processes clear of it; two other programs on one file are not. Mended in 3.51.3, "
                 "3.50.7 and 3.44.6: -DSQLite3_ROOT=")
endif()
if(AIMEM_TESTS)
  find_package(GTest CONFIG REQUIRED)
endif()
