#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/process/worker.h"

int main(int argc, char** argv) {
  int exit_code = 0;
  if (aimem::process::RunAsWorker({argv + 1, argv + argc}, exit_code)) return exit_code;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
