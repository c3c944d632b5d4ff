cmake_minimum_required(VERSION 3.25)
# cmake -DSOURCE_DIR= -DBUILD_DIR= -DWORK_DIR=: build shared libraries from the objects of that tree,
# install them, and look at them.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)
file(REMOVE_RECURSE ${WORK_DIR}/prefix)
objects_of(${BUILD_DIR} "" ${WORK_DIR} launcher)
run(${CMAKE_COMMAND} -S ${SOURCE_DIR} -B ${WORK_DIR}/build -G Ninja -DBUILD_SHARED_LIBS=ON
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DAIMEM_TESTS=OFF -DAIMEM_PCH=OFF ${launcher})
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
run(${CMAKE_COMMAND} --install ${WORK_DIR}/build --prefix ${WORK_DIR}/prefix)
look_at_install(${WORK_DIR}/prefix)
look_at_shared(${WORK_DIR}/prefix)
