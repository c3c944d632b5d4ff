cmake_minimum_required(VERSION 3.25)
# cmake -DWORK_DIR= -DPREFIX= -DOBJECT=: a program that CMake has no hand in. OBJECT is what
# consumer/sqlite.cc compiles to.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)
file(MAKE_DIRECTORY ${WORK_DIR})
set(ENV{PKG_CONFIG_PATH} ${PREFIX}/lib/pkgconfig)
file(GLOB modules RELATIVE ${PREFIX}/lib/pkgconfig ${PREFIX}/lib/pkgconfig/aimem-*.pc)
list(TRANSFORM modules REPLACE "\\.pc$" "")
run(pkg-config --exists --print-errors ${modules})  # with all that they name
run(pkg-config --cflags --libs aimem-sqlite)
separate_arguments(flags UNIX_COMMAND "${output}")
file(WRITE ${WORK_DIR}/header.cc "#include \"aimem/types.h\"\n")
run(c++ -std=c++20 -Wall -Wextra -Werror -fsyntax-only ${WORK_DIR}/header.cc ${flags})
run(c++ -fuse-ld=bfd ${OBJECT} -o ${WORK_DIR}/consumer ${flags} -Wl,-rpath,${PREFIX}/lib)
run(ldd ${WORK_DIR}/consumer)
expect_not("${output}" "libgrpc|libpq" "what the consumer loads")
file(REMOVE ${WORK_DIR}/consumer.db)
run(${WORK_DIR}/consumer ${WORK_DIR}/consumer.db)
expect("${output}" "remembered: 1" "the consumer")
