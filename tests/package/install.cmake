cmake_minimum_required(VERSION 3.25)
# cmake -DBUILD_DIR= -DWORK_DIR=: install what that tree has built, and look at it.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)
file(REMOVE_RECURSE ${WORK_DIR}/prefix)
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/prefix)
look_at_install(${WORK_DIR}/prefix)
