cmake_minimum_required(VERSION 3.25)
# A protocol that reaches for what drives it.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/AimemRooms.cmake)
file(WRITE ${WORK_DIR}/peek.cc "#include \"replication/node/transport.h\"\n")
aimem_check_includes(replication_protocol ${WORK_DIR})
