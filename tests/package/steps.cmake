cmake_minimum_required(VERSION 3.25)
# What the scripts of this folder share.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/AimemRooms.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/../support/links.cmake)
set(HERE ${CMAKE_CURRENT_LIST_DIR})

# run(COMMAND...): it must succeed; sets `output`.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT code EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

# fail(PATTERN COMMAND...): it must fail and say that.
function(fail pattern)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  string(REGEX REPLACE "[ \n]+" " " text "${out}")
  if(code EQUAL 0 OR NOT text MATCHES "${pattern}")
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with ${code}, and should fail with '${pattern}':\n${out}")
  endif()
endfunction()

# expect(TEXT PATTERN WHAT)
function(expect text pattern what)
  if(NOT text MATCHES "${pattern}")
    message(FATAL_ERROR "${what}: '${pattern}' expected in\n${text}")
  endif()
endfunction()

function(expect_not text pattern what)
  if(text MATCHES "${pattern}")
    message(FATAL_ERROR "${what}: '${CMAKE_MATCH_0}' should not be in\n${text}")
  endif()
endfunction()

# An option that makes the compiler's launcher in `work` take what `tree` has compiled; none where
# everything is to be compiled.
function(objects_of tree strip work out)
  set(${out} "" PARENT_SCOPE)
  if(tree AND NOT DEFINED ENV{AIMEM_SOAK})
    file(WRITE ${work}/launcher "#!/bin/sh\nexec sh '${HERE}/take_object.sh' '${tree}' '${strip}' \"$@\"\n")
    file(CHMOD ${work}/launcher PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
    set(${out} -DCMAKE_CXX_COMPILER_LAUNCHER=${work}/launcher PARENT_SCOPE)
  endif()
endfunction()

# consume(PROJECT WORK PREFIX [OBJECTS tree] [HIDE dependency...] [OPTIONS -D...]): configure and build
# that project as a host does: GNU ld, its own warnings, and only what was not hidden.
function(consume project work prefix)
  cmake_parse_arguments(ARG "" "OBJECTS" "HIDE;OPTIONS" ${ARGN})
  set(hide)
  foreach(dependency IN LISTS ARG_HIDE)
    list(APPEND hide -DCMAKE_DISABLE_FIND_PACKAGE_${dependency}=ON)
  endforeach()
  list(JOIN ARG_HIDE "|" modules)
  set(ENV{AIMEM_HIDE} "${modules}")
  objects_of("${ARG_OBJECTS}" "" ${work} launcher)
  run(${CMAKE_COMMAND} -S ${project} -B ${work} -G Ninja -DCMAKE_PREFIX_PATH=${prefix}
      -DCMAKE_CXX_FLAGS=-Wall\ -Wextra\ -Werror -DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=bfd
      -DPKG_CONFIG_EXECUTABLE=${HERE}/hide_modules.sh ${hide} ${launcher} ${ARG_OPTIONS})
  run(${CMAKE_COMMAND} --build ${work})
endfunction()

# Everything that a room does not need: what must be hidden while it is consumed.
function(unneeded out)
  aimem_with_used(rooms core ${ARGN})
  set(others)
  foreach(room IN LISTS AIMEM_ALL_ROOMS)
    list(APPEND others ${AIMEM_NEEDS_${room}} ${AIMEM_BUILDS_WITH_${room}})
  endforeach()
  list(REMOVE_DUPLICATES others)
  foreach(room IN LISTS rooms)
    list(REMOVE_ITEM others "" ${AIMEM_NEEDS_${room}})
  endforeach()
  set(${out} "${others}" PARENT_SCOPE)
endfunction()

# Each relative link of a page leads to something.
function(look_at_links docs)
  file(GLOB_RECURSE pages ${docs}/*.md)
  check_links(${pages} OUT links)
  if(links LESS 40)
    message(FATAL_ERROR "only ${links} links in ${docs}: what has become of the others?")
  endif()
  file(STRINGS ${docs}/README.md lines REGEX "include/aimem/store\\.h\\)")
  if(NOT lines)
    message(FATAL_ERROR "README.md does not lead to the headers")
  endif()
endfunction()

# Headers, licence, documents, a program that starts.
function(look_at_install prefix)
  foreach(path include/aimem/version.h include/aimem/store.h share/doc/aimem/LICENSE
               share/doc/aimem/README.md share/doc/aimem/docs/embedding.md
               share/doc/aimem/examples/embed_store/CMakeLists.txt lib/pkgconfig/aimem-core.pc)
    if(NOT EXISTS ${prefix}/${path})
      message(FATAL_ERROR "${path} was not installed")
    endif()
  endforeach()
  look_at_links(${prefix}/share/doc/aimem)
  # Elsewhere than where it was installed: nothing may depend on that.
  file(REMOVE_RECURSE ${prefix}-moved)
  file(RENAME ${prefix} ${prefix}-moved)
  execute_process(COMMAND ${prefix}-moved/bin/aimem --version OUTPUT_VARIABLE said
                  ERROR_VARIABLE said)
  file(RENAME ${prefix}-moved ${prefix})
  expect("${said}" "^aimem [0-9]" "the installed program")
endfunction()

# Each has a version, finds the others beside it, and shows names of aimem alone.
function(look_at_shared prefix)
  file(GLOB libraries ${prefix}/lib/libaimem_*.so)
  list(LENGTH libraries count)
  if(count LESS 5)
    message(FATAL_ERROR "only ${count} shared libraries in ${prefix}/lib")
  endif()
  set(total 0)
  foreach(library IN LISTS libraries)
    run(readelf -d ${library})
    expect("${output}" "SONAME[^\n]*\\.so\\.[0-9]+\\.[0-9]+\\]" ${library})
    expect("${output}" "RUNPATH[^\n]*\\[\\$ORIGIN\\]" ${library})
    run(nm -DC --defined-only ${library})
    string(STRIP "${output}" names)
    string(REPLACE ";" "," names "${names}")
    string(REPLACE "\n" ";" names "${names}")
    list(LENGTH names count)
    math(EXPR total "${total} + ${count}")
    list(FILTER names EXCLUDE REGEX "^[0-9a-f]+ [A-Za-z] (vtable for |VTT for |typeinfo for |typeinfo name for |guard variable for |(non-)?virtual thunk to )?aimem::")
    if(names)
      message(FATAL_ERROR "${library} shows what is not aimem's: ${names}")
    endif()
  endforeach()
  message("${total} names are exported")
endfunction()
