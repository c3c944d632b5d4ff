cmake_minimum_required(VERSION 3.25)
# Habits of the source that no compiler checks: each rule is a pattern and where it must not be.
set(failures 0)
function(forbid pattern why)
  foreach(folder IN LISTS ARGN)
    file(GLOB_RECURSE files ${SOURCE_DIR}/${folder}/*.cc ${SOURCE_DIR}/${folder}/*.h
         ${SOURCE_DIR}/${folder}/CMakeLists.txt)
    foreach(path IN LISTS files)
      file(STRINGS ${path} hits REGEX "${pattern}")
      foreach(hit IN LISTS hits)
        message("${path}: ${why}\n    ${hit}")
        math(EXPR failures "${failures} + 1")
      endforeach()
    endforeach()
  endforeach()
  set(failures ${failures} PARENT_SCOPE)
endfunction()

set(product include lib backends replication services clients apps)
set(everything ${product} campaign support testing tests bench examples)
forbid("TO[D]O|FIX[M]E|[^X]X[X]X[^X]" "a leftover marker" ${everything})
forbid("absl::(Mutex|Notification)[ (]|absl/synchronization" "TSan cannot see it: use lib/base/mutex.h"
       ${everything})
forbid("DISABLED_" "a test that does not run" tests testing)
forbid("std::cout|std::cerr|printf\\(stderr" "a library has no output of its own" include lib backends)
forbid("[^_]signal\\(|sigaction\\(" "a library has no signal handlers" include lib backends)
forbid("std::j?thread[ a-z_]*[({]" "a thread has a name and takes no signals: lib/base/thread.h"
       lib/execute lib/intents lib/recall lib/store lib/transfer backends replication services)
forbid("std::(random_device|mt19937)|[^_a-z]rand\\(" "randomness comes in through Environment" include lib/model
       lib/merge lib/log lib/recall lib/execute lib/store lib/transfer lib/intents backends)
forbid("absl::Now\\(|system_clock::now" "time comes in through Environment" include lib/model lib/merge
       lib/log lib/recall lib/execute lib/store lib/transfer lib/intents backends)
forbid("#include [<\"](sqlite3|pqxx|libpq-fe|nlohmann)" "a third-party type in a public header" include)
forbid("^  (std::|absl::|[A-Z])[A-Za-z0-9_:]*(<[^()=]*>)? [a-z_0-9]*[a-z0-9];"
       "a member without a value: who names the members that it sets is warned of the others" include)
forbid("#include \"aimem/([^e]|e[^n])" "the transport knows nothing of memories" services/web)
forbid("#include <nlohmann" "JSON is read and written in services/wire" services/web services/rest)
forbid("#include [<\"](boost|prometheus)" "JSON knows nothing of what carries it" services/wire)
forbid("get_if<(aimem::)?[A-Z][a-z]+(Memory|Memories|Link|Archive|Standard|Agent|Pending)>"
       "what a kind of write does stands in its home, lib/execute/kinds" lib replication)
if(failures GREATER 0)
  message(FATAL_ERROR "${failures} places break a rule of the source")
endif()
