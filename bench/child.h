// Child: this program again, as a process of its own that does one part of a measurement.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

#include "bench/measure.h"

namespace aimem::bench {

/// Prepares, says so, waits for Go(), measures, answers with one line.
class Child {
 public:
  /// `arguments` are those of ChildMain, which dispatches on the first.
  explicit Child(const std::vector<std::string>& arguments);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void AwaitReady();
  void Go();
  /// The answer. Throws if the child failed.
  std::string Await();

 private:
  std::string ReadLine();

  pid_t pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

/// What a child process runs. Returns its exit code.
int ChildMain(const std::vector<std::string>& arguments);

// For the child: tell the parent, and wait for it.
void SayReadyAndAwaitGo();
void Answer(const std::string& line);

std::string ToLine(const Run& run);
Run RunFromLine(const std::string& line);

}  // namespace aimem::bench
