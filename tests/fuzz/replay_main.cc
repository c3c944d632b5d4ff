// Runs a fuzz target without libFuzzer: every file of the corpus directories given, and mutations
// of them that a seed decides. So the targets run with any compiler, and in every test run.
//
//   AIMEM_FUZZ_MUTATIONS   mutations of each file (default 20000)
//   AIMEM_FUZZ_SEED        the first seed (default 1)
//
// When a run dies, the input is left in the working directory as fuzz.crash.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/log/random_states.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using aimem::testing::SplitMix;

std::uint64_t FromEnvironment(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

std::vector<std::string> ReadCorpus(int count, char** directories) {
  std::vector<std::filesystem::path> paths;
  for (int i = 0; i < count; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directories[i])) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> inputs;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

char InterestingByte(SplitMix& random) {
  static constexpr unsigned char kBytes[] = {0, 1, 2, 0x20, 0x22, 0x5c, 0x7b, 0x7f, 0x80, 0xff};
  if (random.Chance(50)) return static_cast<char>(random.Below(256));
  return static_cast<char>(kBytes[random.Below(std::size(kBytes))]);
}

void MutateOnce(SplitMix& random, const std::vector<std::string>& inputs, std::string& input) {
  const std::size_t at = random.Below(input.size() + 1);
  const std::size_t length = 1 + random.Below(16);
  switch (random.Below(6)) {
    case 0:
      if (at < input.size()) input[at] = InterestingByte(random);
      break;
    case 1:
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << random.Below(8)));
      break;
    case 2:
      input.erase(at, length);
      break;
    case 3:
      input.insert(at, input.substr(random.Below(input.size() + 1), length));
      break;
    case 4:
      input.insert(at, 1, InterestingByte(random));
      break;
    default: {
      const std::string& other = inputs[random.Below(inputs.size())];
      const std::size_t from = random.Below(other.size() + 1);
      input = input.substr(0, at) + other.substr(from);
    }
  }
}

// The input that runs at the moment, for whoever looks after a crash.
const std::string* running = nullptr;

void KeepInput(int signal_number) {
  std::signal(signal_number, SIG_DFL);
  if (std::FILE* file = std::fopen("fuzz.crash", "wb"); file != nullptr && running != nullptr) {
    std::fwrite(running->data(), 1, running->size(), file);
    std::fclose(file);
    std::fprintf(stderr, "the input is in fuzz.crash\n");
  }
  std::raise(signal_number);
}

void Run(const std::string& input) {
  running = &input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  running = nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> inputs = ReadCorpus(argc - 1, argv + 1);
  if (inputs.empty()) {
    std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY...: there are no files\n", argv[0]);
    return 1;
  }
  const std::uint64_t mutations = FromEnvironment("AIMEM_FUZZ_MUTATIONS", 20'000);
  const std::uint64_t seed = FromEnvironment("AIMEM_FUZZ_SEED", 1);
  std::printf("%zu files, %llu mutations of each, seed %llu\n", inputs.size(),
              static_cast<unsigned long long>(mutations), static_cast<unsigned long long>(seed));
  std::signal(SIGABRT, KeepInput);
  std::signal(SIGSEGV, KeepInput);
  SplitMix random(seed);
  for (const std::string& original : inputs) {
    Run(original);
    for (std::uint64_t i = 0; i < mutations; ++i) {
      std::string input = original;
      const std::uint64_t steps = 1 + random.Below(4);
      for (std::uint64_t step = 0; step < steps; ++step) MutateOnce(random, inputs, input);
      Run(input);
    }
  }
  return 0;
}
