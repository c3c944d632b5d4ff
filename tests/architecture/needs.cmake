cmake_minimum_required(VERSION 3.25)
# A room that links what the table does not name.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/AimemRooms.cmake)
aimem_check_needs(sqlite "${AIMEM_NEEDS_sqlite}" SQLite::SQLite3 absl::status aimem::core)
aimem_check_needs(sqlite "${AIMEM_NEEDS_sqlite}" "$<BUILD_INTERFACE:gRPC::grpc++>")
