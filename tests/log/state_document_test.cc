// The examples of docs/formats/state.md are what the code writes and reads.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "lib/base/hash.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"

namespace aimem::log {
namespace {

std::string Document() {
  const char* root = std::getenv("AIMEM_SOURCE_DIR");
  if (root == nullptr) return "";
  std::ifstream file(std::string(root) + "/docs/formats/state.md");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// A word of an example that is bytes: an even number of hexadecimal digits.
bool IsBytes(const std::string& word) { return FromHex(word).has_value(); }

// The bytes of the block ```hex name. In each line they come first and remarks follow.
std::string Example(const std::string& document, const std::string& name) {
  const std::string opening = "```hex " + name + "\n";
  const std::size_t begin = document.find(opening);
  if (begin == std::string::npos) return "";
  const std::size_t end = document.find("```", begin + opening.size());
  std::istringstream block(document.substr(begin + opening.size(), end - begin - opening.size()));
  std::string bytes;
  for (std::string line; std::getline(block, line);) {
    std::istringstream words(line);
    for (std::string word; words >> word && IsBytes(word);) bytes += FromHex(word).value();
  }
  return bytes;
}

constexpr Stamp kPutStamp{0x018bcfe568000001, 0xa7};
constexpr Stamp kPatchStamp{0x018bcfe568020001, 0xb2};

model::Parts Put() {
  static const std::string kName = model::EncodeName("global", "t");
  return {{model::part::kPut, kPutStamp, ""},
          {model::part::kName, kPutStamp, kName},
          {" k", kPutStamp, "true"}};
}

TEST(StateDocument, StateExampleIsItsEncoding) {
  const std::string document = Document();
  ASSERT_NE(document, "") << "AIMEM_SOURCE_DIR must name the source tree";
  model::Parts parts = Put();
  parts.insert(parts.begin() + 2, {model::part::kContent, kPatchStamp, "hello"});
  const std::string bytes = EncodeState(parts);
  EXPECT_EQ(ToHex(Example(document, "state")), ToHex(bytes));
  EXPECT_NE(document.find("`" + ToHex(AsBytes(VersionHash(bytes))) + "`"), std::string::npos);
  EXPECT_TRUE(DecodeState(Example(document, "state")).ok());
}

TEST(StateDocument, CommitExampleIsItsEncoding) {
  const std::string document = Document();
  ASSERT_NE(document, "") << "AIMEM_SOURCE_DIR must name the source tree";
  Commit commit;
  commit.header.stream = kPutStamp.stream;
  commit.header.seq = 1;
  commit.header.hlc = kPutStamp.hlc;
  commit.header.operation = Id128::Parse("01890a5d-ac96-774b-bcce-b302099a8057").value();
  commit.header.agent_id = "cli";
  Change change;
  change.key = {Kind::kMemory, "m"};
  change.nonce = Id128::Parse("00112233-4455-6677-8899-aabbccddeeff").value();
  change.body = EncodeState(Put());
  commit.changes.push_back(change);
  const std::string bytes = EncodeCommit(commit);
  EXPECT_EQ(ToHex(Example(document, "commit")), ToHex(bytes));
  const absl::StatusOr<Commit> decoded = DecodeCommit(Example(document, "commit"));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->header.agent_id, "cli");
}

TEST(StateDocument, TableNamesEveryPart) {
  const std::string document = Document();
  for (const std::string_view name :
       {model::part::kPut,           model::part::kDeleted,        model::part::kForgotten,
        model::part::kPurged,        model::part::kName,           model::part::kContent,
        model::part::kTags,          model::part::kPriority,       model::part::kConfidence,
        model::part::kSource,        model::part::kAgentId,        model::part::kCreatedAt,
        model::part::kUpdatedAt,     model::part::kTierMid,        model::part::kTierLong,
        model::part::kExpiry,        model::part::kUseCount,       model::part::kUseLast,
        model::part::kUseUntil,      model::part::kConsolidated,   model::part::kExpired,
        model::part::kLinked,        model::part::kStandardMemory, model::part::kStandardParent,
        model::part::kStandardPolicy}) {
    const std::size_t row = document.find("\n| `" + ToHex(name) + "` |");
    ASSERT_NE(row, std::string::npos) << ToHex(name);
    const std::string line = document.substr(row + 1, document.find('\n', row + 1) - row - 1);
    EXPECT_EQ(model::IsBorrowed(name), !line.ends_with("| |")) << line;
  }
}

}  // namespace
}  // namespace aimem::log
