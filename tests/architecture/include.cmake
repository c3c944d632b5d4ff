cmake_minimum_required(VERSION 3.25)
# A backend that reaches into the core.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/AimemRooms.cmake)
file(WRITE ${WORK_DIR}/peek.cc "#include \"lib/store/rows.h\"\n")
aimem_check_includes(sqlite ${WORK_DIR})
