cmake_minimum_required(VERSION 3.25)
# A room of services that includes FILE.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/AimemRooms.cmake)
file(WRITE ${WORK_DIR}/peek.cc "#include \"${FILE}\"\n")
aimem_check_includes(${ROOM} ${WORK_DIR})
