cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/AimemRooms.cmake)
aimem_check_edges(${ROOM} ${EDGE})
