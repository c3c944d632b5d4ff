# Run by ctest: install, build the consumer with every other room's packages hidden, look at what
# it loads, run it.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGV}\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
foreach(component core sqlite)
  run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/prefix --component ${component})
endforeach()
# A host that wants SQLite must find it where none of these exists.
run(${CMAKE_COMMAND} -S ${CONSUMER_DIR} -B ${WORK_DIR}/build -G ${GENERATOR}
    -DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix -DCMAKE_DISABLE_FIND_PACKAGE_gRPC=ON
    -DCMAKE_DISABLE_FIND_PACKAGE_Protobuf=ON -DCMAKE_DISABLE_FIND_PACKAGE_PostgreSQL=ON)
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
run(ldd ${WORK_DIR}/build/consumer)
if(output MATCHES "grpc|protobuf|libpq")
  message(FATAL_ERROR "the consumer loads what it does not need:\n${output}")
endif()
if(NOT output MATCHES "sqlite3")
  message(FATAL_ERROR "the consumer does not load SQLite:\n${output}")
endif()
run(${WORK_DIR}/build/consumer ${WORK_DIR}/consumer.db)
if(NOT output MATCHES "remembered: 1")
  message(FATAL_ERROR "the consumer said:\n${output}")
endif()
