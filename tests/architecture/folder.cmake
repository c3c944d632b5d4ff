cmake_minimum_required(VERSION 3.25)
# A folder of the core that reaches into a higher one.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/AimemRooms.cmake)
set(PROJECT_SOURCE_DIR ${WORK_DIR})
file(WRITE ${WORK_DIR}/lib/execute/kinds/peek.cc "#include \"lib/store/local_store.h\"\n")
aimem_check_includes(core ${WORK_DIR}/lib)
