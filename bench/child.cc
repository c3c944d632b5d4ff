#include "bench/child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>

#include "bench/sections.h"
#include "nlohmann/json.hpp"

extern char** environ;

namespace aimem::bench {

Child::Child(const std::vector<std::string>& arguments) {
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) throw Failure("no more pipes");
  std::vector<std::string> words = {"aimem_bench", "--child"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  const int error = posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  to_ = fdopen(in[1], "w");
  from_ = fdopen(out[0], "r");
  if (error != 0) {
    pid_ = -1;
    throw Failure("cannot start a child process");
  }
}

Child::~Child() {
  // The end of its input ends a child that still waits; one that works is not waited for.
  std::fclose(to_);
  std::fclose(from_);
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::string Child::ReadLine() {
  std::string line;
  for (int byte = std::getc(from_); byte != '\n'; byte = std::getc(from_)) {
    if (byte == EOF) throw Failure("a child process failed");
    line += static_cast<char>(byte);
  }
  return line;
}

void Child::AwaitReady() {
  if (ReadLine() != "ready") throw Failure("a child process failed");
}

void Child::Go() {
  std::fputs("go\n", to_);
  std::fflush(to_);
}

std::string Child::Await() {
  std::string line = ReadLine();
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  if (status != 0) throw Failure("a child process failed");
  return line;
}

int ChildMain(const std::vector<std::string>& arguments) {
  const std::string& name = arguments.at(0);
  if (name == "writers") return WritersChild(arguments);
  if (name == "migrate") return MigrateChild(arguments);
  throw Failure("no such child: " + name);
}

void SayReadyAndAwaitGo() {
  std::cout << "ready\n" << std::flush;
  std::string line;
  if (!std::getline(std::cin, line)) throw Failure("the parent is gone");
}

void Answer(const std::string& line) { std::cout << line << "\n" << std::flush; }

std::string ToLine(const Run& run) {
  const nlohmann::json json = {{"calls", run.calls},
                               {"begin_s", run.begin_s},
                               {"end_s", run.end_s},
                               {"cpu_s", run.cpu_s},
                               {"written", run.written_bytes},
                               {"commits", run.commits},
                               {"latencies_us", run.latencies_us}};
  return json.dump();
}

Run RunFromLine(const std::string& line) {
  const nlohmann::json json = nlohmann::json::parse(line);
  Run run;
  json.at("calls").get_to(run.calls);
  json.at("begin_s").get_to(run.begin_s);
  json.at("end_s").get_to(run.end_s);
  json.at("cpu_s").get_to(run.cpu_s);
  json.at("written").get_to(run.written_bytes);
  json.at("commits").get_to(run.commits);
  json.at("latencies_us").get_to(run.latencies_us);
  return run;
}

}  // namespace aimem::bench
