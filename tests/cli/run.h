// Runs the real program in a folder of its own and looks at what it prints.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace aimem::testing {

struct Ran {
  int code = -1;  ///< Exit code; 128 + signal if one ended it.
  std::string out;
  std::string err;
};

/// How a run begins.
struct Start {
  std::string input;
  std::map<std::string, std::string> environment;
  std::string program = "aimem";  ///< Or the path of another name of it.
  std::filesystem::path folder;   ///< Empty: the test's own.
  /// File to which standard output goes, in place of Ran::out.
  std::string output_file;
  /// True: nobody reads standard output.
  bool close_output = false;
};

class Cli : public ::testing::Test {
 protected:
  Cli();

  Ran Run(const std::vector<std::string>& arguments, const Start& start = {});
  /// The same, which must succeed.
  Ran Succeed(const std::vector<std::string>& arguments, const Start& start = {});
  /// With --json, which must succeed: what it printed.
  nlohmann::json Json(std::vector<std::string> arguments, const Start& start = {});
  /// Must exit with `code` and print nothing on standard output: what it said.
  std::string Fail(int code, const std::vector<std::string>& arguments, const Start& start = {});
  /// Store a memory in namespace "ns": its id.
  std::string Store(const std::string& title, const std::string& content = "some content",
                    std::vector<std::string> more = {});

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::string program() const { return program_; }

 private:
  std::string program_;
  const testing::TempDir dir_;
  const std::filesystem::path folder_ = dir_.path();
};

/// A run that is under way.
class Child {
 public:
  Child(const std::string& program, const std::vector<std::string>& arguments, const Start& start,
        const std::filesystem::path& folder);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Write to its standard input; `close_it`: that was all.
  void Input(const std::string& text, bool close_it);
  /// Wait until it keeps this signal from ending it.
  void AwaitWatchFor(int signal) const;
  void Signal(int signal) const;
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Read its standard error until a whole line has `part`: that line. Wait() returns it too.
  std::string ReadErrorLine(const std::string& part);
  /// Read to the end and wait for it.
  Ran Wait();

 private:
  pid_t pid_ = 0;
  int in_ = -1, out_ = -1, err_ = -1;
  std::string err_read_;
};

}  // namespace aimem::testing
