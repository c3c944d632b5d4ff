// What the pages of docs/clients tell people to run and to write is what the program does.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "gmock/gmock.h"
#include "tests/cli/run.h"

namespace aimem::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kProgramOnPages[] = "/usr/local/bin/aimem";
constexpr char kDatabaseOnPages[] = "/home/ann/memories.db";

struct Block {
  std::string language, text;
};

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Block> BlocksOf(const fs::path& page) {
  std::vector<Block> blocks;
  std::istringstream lines(ReadFile(page));
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    const bool fence = line.starts_with("```");
    if (fence && !inside) blocks.push_back({.language = line.substr(3), .text = ""});
    if (!fence && inside) blocks.back().text += line + '\n';
    if (fence) inside = !inside;
  }
  return blocks;
}

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

class ClientPages : public Cli, public ::testing::WithParamInterface<const char*> {
 protected:
  ClientPages() {
    const char* pages = std::getenv("AIMEM_CLIENT_PAGES");
    EXPECT_NE(pages, nullptr);
    blocks_ = BlocksOf(fs::path(pages == nullptr ? "" : pages) / (GetParam() + std::string(".md")));
    home_ = fs::canonical(folder()).string();
  }

  /// Run a line as a shell in the home folder does.
  Ran Shell(const std::string& line) {
    Start start;
    start.program = "/bin/sh";
    start.environment["HOME"] = home_;
    return Run({"-c", line}, start);
  }
  /// `text` of this machine as a page shows it.
  [[nodiscard]] std::string AsOnPages(std::string text) const {
    ReplaceAll(text, fs::canonical(program()).string(), kProgramOnPages);
    ReplaceAll(text, home_ + "/memories.db", kDatabaseOnPages);
    return text;
  }
  [[nodiscard]] std::string AsHere(std::string text) const {
    ReplaceAll(text, kProgramOnPages, fs::canonical(program()).string());
    ReplaceAll(text, kDatabaseOnPages, home_ + "/memories.db");
    return text;
  }
  /// The lines of the page that run the program, each with what to answer.
  [[nodiscard]] std::vector<std::string> CommandLines() const {
    std::vector<std::string> found;
    for (const Block& block : blocks_) {
      std::istringstream lines(block.language == "sh" ? block.text : "");
      for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("aimem ")) found.push_back(line.substr(6));
      }
    }
    return found;
  }
  [[nodiscard]] std::string ProgramLine(const std::string& rest) const {
    const bool asks = rest.find(" install ") != std::string::npos || rest.starts_with("install ");
    return fs::canonical(program()).string() + " " + rest + (asks ? " --yes" : "");
  }

  std::vector<Block> blocks_;
  std::string home_;
};

TEST_P(ClientPages, EachCommandLineRuns) {
  ASSERT_THAT(CommandLines(), Not(IsEmpty()));
  for (const std::string& line : CommandLines()) {
    const Ran ran = Shell(ProgramLine(line));
    EXPECT_EQ(ran.code, 0) << line << ": " << ran.err;
  }
}

TEST_P(ClientPages, TheConfigurationIsTheOneThatIsWritten) {
  const std::string client = GetParam();
  const std::string file = home_ + "/written";
  const Ran ran = Shell(ProgramLine("--db ~/memories.db install " + client + " --config " + file));
  ASSERT_EQ(ran.code, 0) << ran.err;
  const std::string written = AsOnPages(ReadFile(file));
  std::vector<std::string> shown;
  for (const Block& block : blocks_) shown.push_back(block.text);
  EXPECT_THAT(shown, Contains(written));
}

class ClientHooks : public ClientPages {};

TEST_P(ClientHooks, PrintWhatIsRemembered) {
  ASSERT_EQ(Shell(ProgramLine("--db ~/memories.db store -T Tea -c Green. -n global")).code, 0);
  const auto hook = std::ranges::find_if(blocks_, [](const Block& block) {
    return block.language == "json" && json::parse(block.text).contains("hooks");
  });
  ASSERT_NE(hook, blocks_.end());
  const json start = json::parse(hook->text)["hooks"]["SessionStart"][0];
  const Ran ran = Shell(AsHere(start["hooks"][0]["command"]));
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("- Tea (mid, priority 5, of global): Green.\n"));
}

std::string NameOf(const ::testing::TestParamInfo<const char*>& page) {
  std::string name = page.param;
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Clients, ClientPages,
                         ::testing::Values("claude-code", "claude-desktop", "codex", "cursor",
                                           "json"),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Clients, ClientHooks, ::testing::Values("claude-code", "codex"), NameOf);

}  // namespace
}  // namespace aimem::testing
