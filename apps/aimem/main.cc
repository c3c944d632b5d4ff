#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include "aimem/environment.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/output.h"

namespace {

bool Confirm(std::string_view question) {
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int Run(int argc, char** argv) {
  aimem::cli::DescriptorBuffer standard_output(STDOUT_FILENO);
  std::ostream out(&standard_output);
  aimem::cli::Context context{.out = out, .err = std::cerr, .now = aimem::SystemClock().Now()};
  const std::string_view path = argc > 0 ? argv[0] : "";
  if (path.substr(path.find_last_of('/') + 1) == "ai-memory") context.program = "ai-memory";
  context.colour = isatty(STDOUT_FILENO) == 1;
  if (isatty(STDIN_FILENO) == 1) context.confirm = Confirm;
  int exit_code = aimem::cli::RunCommandLine(context, argc, argv);
  out.flush();
  if (const int error = standard_output.error(); error != 0) {
    // Who closed the pipe has seen enough and needs no message.
    if (error != EPIPE) {
      std::cerr << "Error: writing to standard output: " << std::strerror(error) << '\n';
    }
    if (exit_code == 0) exit_code = 1;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  // Both are told by the call that fails.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  std::ios::sync_with_stdio(false);
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "Error: " << error.what() << '\n';
    return 1;
  }
}
