// The bytes of requests, whose hashes are stored: against docs/formats/request.md.
#include "lib/execute/request.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "lib/base/hash.h"
#include "lib/execute/kinds.h"
#include "tests/log/random_states.h"

namespace aimem::execute {
namespace {

/// The bytes that `text` shows: words of hexadecimal digits, up to one that is none in each line.
std::string Bytes(const std::string& text) {
  std::istringstream lines(text);
  std::string bytes;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    for (std::string word; words >> word && FromHex(word).has_value();) bytes += *FromHex(word);
  }
  return bytes;
}

absl::Time At(std::int64_t seconds) { return absl::FromUnixSeconds(1'700'000'000 + seconds); }

/// Written by hand and hashed by another program than this one.
struct Golden {
  std::string name;
  WriteItem item;
  std::string bytes;
  std::string hash;
  bool allow_partial = false;
};

std::vector<Golden> Memories() {
  Memory memory;
  memory.id = "m1";
  memory.tier = Tier::kLong;
  memory.namespace_ = "kitchen";
  memory.title = "Oven";
  memory.content = "hot";
  memory.tags = {"a", "b"};
  memory.priority = 7;
  memory.confidence = 0.5;
  memory.source = "import";
  memory.access_count = 3;
  memory.created_at = At(0);
  memory.updated_at = At(1);
  memory.last_accessed_at = At(2);
  memory.expires_at = At(3);
  memory.metadata = R"({"k":1})";
  return {
      {"put",
       PutMemory{.namespace_ = "kitchen",
                 .title = "Oven",
                 .content = "hot",
                 .tier = Tier::kLong,
                 .tags = {"a", "b"},
                 .priority = 7,
                 .confidence = 0.5,
                 .source = "cli",
                 .expires_at = At(0),
                 .ttl_seconds = 60,
                 .metadata = R"({"k":1})",
                 .scope = "team"},
       R"(01 5c
          01 07 6b69746368656e            namespace
          02 04 4f76656e                  title
          03 03 686f74                    content
          04 01 02                        tier: long
          05 04 0161 0162                 tags
          06 08 0000000000000007          priority
          07 08 3fe0000000000000          confidence
          08 03 636c69                    source
          09 09 01 97979cfe362a0000       expires_at
          0a 09 01 000000000000003c       ttl_seconds
          0b 07 7b226b223a317d            metadata
          0c 05 01 7465616d               scope
       )",
       "a181588c58554391ad920324007502728dc766b821578925cfdbf8ee25a6bf55"},
      {"import", ImportMemory{.memory = memory, .archived_at = At(0)},
       R"(02 8701
          01 7a                           memory
             01 02 6d31                   id
             02 01 02                     tier
             03 07 6b69746368656e         namespace
             04 04 4f76656e               title
             05 03 686f74                 content
             06 04 0161 0162              tags
             07 08 0000000000000007       priority
             08 08 3fe0000000000000       confidence
             09 06 696d706f7274           source
             0a 08 0000000000000003       access_count
             0b 08 97979cfe362a0000       created_at
             0c 08 97979cfe71c4ca00       updated_at
             0d 09 01 97979cfead5f9400    last_accessed_at
             0e 09 01 97979cfee8fa5e00    expires_at
             0f 07 7b226b223a317d         metadata
          02 09 01 97979cfe362a0000       archived_at
       )",
       "0aec0fdb280fe296ff1a6dcff8993cca2b2c0e66dcfa82dcbb2d53f4df313f02"},
      {"patch",
       PatchMemory{.id = "m1",
                   .title = "Oven",
                   .content = "hot",
                   .tier = Tier::kShort,
                   .namespace_ = "kitchen",
                   .tags = {{"a"}},
                   .priority = 7,
                   .confidence = 0.5,
                   .expires_at = At(0),
                   .metadata = "{}"},
       R"(03 4b
          01 02 6d31                      id
          02 05 01 4f76656e               title
          03 04 01 686f74                 content
          04 02 01 00                     tier: short
          05 08 01 6b69746368656e         namespace
          06 03 01 0161                   tags
          07 09 01 0000000000000007       priority
          08 09 01 3fe0000000000000       confidence
          09 0a 01 01 97979cfe362a0000    expires_at, at
          0a 03 01 7b7d                   metadata
       )",
       "dd0db447128339bb8a6833a7d59a4bbcfce81e8d1f2e90763bc4759bc36624b8"},
      {"patch that ends an expiry",
       PatchMemory{.id = "",
                   .title = {},
                   .content = {},
                   .tier = {},
                   .namespace_ = {},
                   .tags = {},
                   .priority = {},
                   .confidence = {},
                   .expires_at = absl::InfiniteFuture(),
                   .metadata = {}},
       "03 03  09 01 01", "f6e520f8e1c54d8002473ec26685b1e43d27b91db6d3ae908947b8c670e95601"},
      {"delete", DeleteMemory{"m1"}, "04 04  01 02 6d31",
       "a3e116150b5438d29d35d2734a34c457b4d9f18a1433370bd4c02c8685259308"},
      {"erase", EraseMemory{"m1"}, "13 04  01 02 6d31",
       "ef9b73751791dd919cd1d9fdcfd61c11a736ac158448fcc7f6149e5c30678912"},
      {"promote", PromoteMemory{"m1", "up"}, "05 08  01 02 6d31  02 02 7570",
       "80c4e586ff1eee0a7396d4708d245d55aab5038814c230180c137a09216faab7"},
      {"touch", TouchMemory{"m1"}, "08 04  01 02 6d31",
       "97b48e84bd19307ef303ef8620fcfd58d7b89ceba76a1faac558a7f00388960b"},
      {"touch of a batch that may be partial", TouchMemory{"m1"},
       "00 03  01 01 01\n 08 04  01 02 6d31",
       "1e13f082cce8182e2720d7d6d75c77a3444cba4f801c2f2e904dc99fa7ee7532", true},
      {"consolidate", ConsolidateMemories{{"a", "b"}, "Oven", "hot", "kitchen", Tier::kMid, "cli"},
       R"(0d 22
          01 04 0161 0162                 ids
          02 04 4f76656e                  title
          03 03 686f74                    summary
          04 07 6b69746368656e            namespace
          05 01 01                        tier: mid
          06 03 636c69                    source
       )",
       "ab752be75c3c1efa6df20ef96ba233c0ab71c455c016aff3693d7599809d5514"},
  };
}

std::vector<Golden> Others() {
  return {
      {"add link", AddLink{"a", "b", "supersedes", At(0)},
       R"(06 1d
          01 01 61  02 01 62              from, to
          03 0a 73757065727365646573      relation
          04 09 01 97979cfe362a0000       created_at
       )",
       "5c69a6005e694d2d255f08fe0f2a0aa0c9f6f293ab71cc80b10548ba894dea08"},
      {"remove link", RemoveLink{"a", "b", "supersedes"},
       "07 12  01 01 61  02 01 62  03 0a 73757065727365646573",
       "0f83d2497ba67d77c0fc31f069aba650182944dbc08790c2671e406b8a059376"},
      {"forget", ForgetMemories{"kitchen", "old", Tier::kShort},
       "09 14  01 08 01 6b69746368656e  02 04 01 6f6c64  03 02 01 00",
       "b64df9448c2242457814ce99db21d399776ce612712c4495c5de39d785df7d69"},
      {"expire", ExpireMemories{false}, "0a 03  01 01 00",
       "9cfd6329586c13565cf50a12e292d4eec0ddbf1fcee69ba3fc5408c673e02a00"},
      {"restore", RestoreMemory{"m1"}, "0b 04  01 02 6d31",
       "d9aea92f9a9dc1dfec3863283fff911c16c2f3fd831d23bf5993b49ad0e96ab4"},
      {"purge", PurgeArchive{30}, "0c 0b  01 09 01 000000000000001e",
       "bfcdc06f62a237f75a13a3ecb826ee2a386eefed4ae207a5a9a55191b776cede"},
      {"set standard", SetStandard{"kitchen", "m1", "house", "{}"},
       "0e 18  01 07 6b69746368656e  02 02 6d31  03 05 686f757365  04 02 7b7d",
       "62e0a1f19346a80618ea5e28529b622d7fc9cf294ed75f46b83108422d3defc6"},
      {"clear standard", ClearStandard{"kitchen"}, "0f 09  01 07 6b69746368656e",
       "870f6cdff20dfbaa22eae90ff95a3e711602e2bac1dadd0097a73d5272061812"},
      {"register", RegisterAgent{"bot", "ai", {"a"}}, "10 0d  01 03 626f74  02 02 6169  03 02 0161",
       "83324ce5c96eea491b3b4b2909d1cd818a1242261cf920c371ddb381456cc1a8"},
      {"decide", DecidePending{"p1", true}, "12 07  01 02 7031  02 01 01",
       "9ee13d741a5c2a5da783cfa990f20868d285619a97358862b791a0d0703dd20a"},
  };
}

TEST(RequestHash, EveryKindHasTheOneThatWasWrittenDown) {
  std::vector<Golden> all = Memories();
  for (Golden& golden : Others()) all.push_back(std::move(golden));
  std::set<std::size_t> kinds;
  for (const Golden& golden : all) {
    SCOPED_TRACE(golden.name);
    const WriteBatch batch = golden.item;
    EXPECT_EQ(ToHex(EncodeRequest(batch, golden.allow_partial)), ToHex(Bytes(golden.bytes)));
    EXPECT_EQ(ToHex(AsBytes(RequestHash(batch, golden.allow_partial))), golden.hash);
    kinds.insert(golden.item.index());
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<WriteItem>) << "a kind has no golden hash";
}

// Written by hand and hashed by another program, like the others.
TEST(RequestHash, DecisionIsThatOfItsAuthorAndNothingElseIs) {
  const WriteBatch decision = DecidePending{"p1", true};
  const std::string bytes = Bytes("00 06  02 04 61693a78    12 07  01 02 7031  02 01 01");
  EXPECT_EQ(ToHex(EncodeRequest(decision, false, "ai:x")), ToHex(bytes));
  EXPECT_EQ(ToHex(AsBytes(RequestHash(decision, false, "ai:x"))),
            "645561d626758a6e076a3797e1f24a2b168f32288463c6ba1ea2246e044aad76");
  const WriteBatch other = DeleteMemory{"m1"};
  EXPECT_EQ(ToHex(EncodeRequest(other, true, "ai:x")), ToHex(EncodeRequest(other, true)));
}

/// Call `visit` with a default item of every kind.
template <typename Visit, std::size_t... Index>
void ForEachKind(const Visit& visit, std::index_sequence<Index...>) {
  (visit(std::variant_alternative_t<Index, WriteItem>{}), ...);
}
template <typename Visit>
void ForEachKind(const Visit& visit) {
  ForEachKind(visit, std::make_index_sequence<std::variant_size_v<WriteItem>>());
}

TEST(RequestHash, FieldsThatHaveTheirDefaultAreNotInTheBytes) {
  ForEachKind([]<typename Item>(const Item& item) {
    EXPECT_EQ(ToHex(EncodeRequest(item, false)),
              ToHex(std::string{static_cast<char>(KindOf<Item>::kNumber), '\0'}));
  });
  PutMemory put;
  put.title = "t";
  put.namespace_ = "global";  // said, but nothing else than what is meant unsaid
  put.priority = 5;
  put.metadata = "{}";
  EXPECT_EQ(ToHex(EncodeRequest(put, false)),
            "01"
            "03"
            "020174");
}

// Two versions of one kind: the later one has two more fields.
struct Earlier {
  std::string text = "unset";
};
struct Later {
  std::string text = "unset";
  std::optional<std::string> maybe = {};
  std::int64_t number = 5;
};
constexpr std::tuple kEarlier{Field{1, &Earlier::text}};
constexpr std::tuple kLater{Field{1, &Later::text}, Field{2, &Later::maybe},
                            Field{3, &Later::number}};

TEST(RequestHash, FieldThatIsAddedLaterChangesNoEarlierRequest) {
  const auto encoded = [](const auto& item, const auto& fields) {
    std::string out;
    AppendFields(item, fields, out);
    return out;
  };
  EXPECT_EQ(encoded(Later{}, kLater), "");
  EXPECT_EQ(encoded(Later{.text = "said"}, kLater), encoded(Earlier{.text = "said"}, kEarlier));
  const std::string whole = encoded(Later{.text = "said", .maybe = "", .number = 6}, kLater);
  EXPECT_EQ(ToHex(whole),
            "0104"
            "73616964"
            "020101"
            "0308"
            "0000000000000006");
}

static_assert(NamesEveryField<Later>(kLater));
static_assert(!NamesEveryField<Later>(std::tuple{Field{1, &Later::text}, Field{3, &Later::number}}),
              "a field without a row");
static_assert(!NamesEveryField<Later>(std::tuple{Field{1, &Later::text}, Field{2, &Later::maybe},
                                                 Field{2, &Later::number}}),
              "a number twice");

// -- Different requests ---------------------------------------------------------------------------

// A value as a text that tells any two apart, by other means than the bytes.
std::string Text(const std::string& value) { return "'" + ToHex(value) + "'"; }
template <typename T>
requires std::is_arithmetic_v<T> std::string Text(T value) { return std::to_string(value); }
std::string Text(Tier value) { return std::string(TierName(value)); }
std::string Text(absl::Time value) { return std::to_string(absl::ToUnixNanos(value)); }
std::string Text(const std::vector<std::string>& values) {
  std::string text = "[";
  for (const std::string& value : values) text += Text(value) + ",";
  return text + "]";
}
template <typename T>
std::string Text(const std::optional<T>& value) {
  return value ? "(" + Text(*value) + ")" : "none";
}
template <typename Struct, typename... Fields>
std::string TextOf(const Struct& value, const std::tuple<Fields...>& fields);
std::string Text(const Memory& value) { return TextOf(value, kMemoryFields); }
template <typename Struct, typename... Fields>
std::string TextOf(const Struct& value, const std::tuple<Fields...>& fields) {
  std::string text = "{";
  std::apply([&](const auto&... field) { ((text += Text(value.*field.member) + ";"), ...); },
             fields);
  return text + "}";
}

/// Fills fields with values that try to look like what stands around them.
class Filler {
 public:
  explicit Filler(std::uint64_t seed) : random_(seed) {}

  bool Chance(int percent) { return random_.Chance(percent); }
  std::uint64_t Below(std::uint64_t n) { return random_.Below(n); }

  void Fill(std::string& value) {
    value.clear();
    for (std::uint64_t left = Below(4); left > 0; --left) {
      value.push_back("\x00\x01\x02\x03\x08"[Below(5)]);
    }
  }
  void Fill(std::int64_t& value) { value = static_cast<std::int64_t>(Below(4)) - 1; }
  void Fill(std::int32_t& value) { value = static_cast<std::int32_t>(Below(4)) - 1; }
  void Fill(double& value) { value = static_cast<double>(Below(3)) / 2; }
  void Fill(bool& value) { value = Chance(50); }
  void Fill(Tier& value) { value = static_cast<Tier>(Below(3)); }
  void Fill(absl::Time& value) {
    value = absl::FromUnixNanos(static_cast<std::int64_t>(Below(3)) - 1);
  }
  void Fill(std::vector<std::string>& values) {
    values.resize(Below(3));
    for (std::string& value : values) Fill(value);
  }
  template <typename T>
  void Fill(std::optional<T>& value) {
    value.reset();
    if (Chance(50)) Fill(value.emplace());
  }
  void Fill(Memory& value) { FillSome(value, kMemoryFields); }

  /// Few of many: so a request is about as likely to come again as not.
  template <typename Struct, typename... Fields>
  void FillSome(Struct& value, const std::tuple<Fields...>& fields) {
    const auto fill = [&](auto& member) {
      if (Chance(60 / static_cast<int>(sizeof...(Fields)) + 5)) Fill(member);
    };
    std::apply([&](const auto&... field) { (fill(value.*field.member), ...); }, fields);
  }

 private:
  testing::SplitMix random_;
};

/// An item of a kind by chance, and its text.
std::pair<WriteItem, std::string> RandomItem(Filler& random) {
  std::pair<WriteItem, std::string> result;
  const std::uint64_t wanted = random.Below(std::variant_size_v<WriteItem>);
  std::uint64_t index = 0;
  ForEachKind([&]<typename Item>(Item item) {
    if (index++ != wanted) return;
    random.FillSome(item, KindOf<Item>::kFields);
    result.second = std::to_string(wanted) + TextOf(item, KindOf<Item>::kFields);
    result.first = std::move(item);
  });
  return result;
}

TEST(RequestHash, DifferentRequestsNeverShareTheirBytes) {
  constexpr std::uint64_t kSeed = 19;
  Filler random(kSeed);
  std::map<std::string, std::string> bytes_of;
  std::map<std::string, std::string> request_of;
  int repeated = 0;
  for (int i = 0; i < 50'000; ++i) {
    WriteBatch batch;
    const bool partial = random.Chance(20);
    std::string text = partial ? "partial " : "whole ";
    for (std::uint64_t left = random.Below(4); left > 0; --left) {
      auto [item, item_text] = RandomItem(random);
      batch.items.push_back(std::move(item));
      text += item_text;
    }
    const std::string bytes = EncodeRequest(batch, partial);
    const auto [known, is_new] = bytes_of.emplace(text, bytes);
    ASSERT_EQ(known->second, bytes) << "one request, two encodings: " << text;
    const auto [owner, unused] = request_of.emplace(bytes, text);
    ASSERT_EQ(owner->second, text) << "two requests, one encoding: " << ToHex(bytes);
    if (!is_new) ++repeated;
  }
  EXPECT_GT(repeated, 1'000) << "the requests are too many to meet each other";
  EXPECT_GT(bytes_of.size(), 1'000u);
}

// -- The page -------------------------------------------------------------------------------------

std::string Document() {
  const char* root = std::getenv("AIMEM_SOURCE_DIR");
  if (root == nullptr) return "";
  std::ifstream file(std::string(root) + "/docs/formats/request.md");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(RequestDocument, ExampleIsItsEncoding) {
  const std::string document = Document();
  ASSERT_NE(document, "") << "AIMEM_SOURCE_DIR must name the source tree";
  const std::string opening = "```hex request\n";
  const std::size_t begin = document.find(opening);
  ASSERT_NE(begin, std::string::npos);
  const std::size_t end = document.find("```", begin + opening.size());
  const std::string example =
      Bytes(document.substr(begin + opening.size(), end - begin - opening.size()));
  PutMemory put;
  put.title = "Oven";
  put.content = "it is hot";
  AddLink link;
  link.source_id = "a";
  link.target_id = "b";
  const WriteBatch batch = {put, link};
  EXPECT_EQ(ToHex(EncodeRequest(batch, true)), ToHex(example));
  const std::string hash = ToHex(AsBytes(RequestHash(batch, true)));
  EXPECT_NE(document.find("`" + hash + "`"), std::string::npos) << hash;
}

TEST(RequestDocument, TableHasEveryKindWithItsNumberAndFields) {
  const std::string document = Document();
  ASSERT_NE(document, "") << "AIMEM_SOURCE_DIR must name the source tree";
  ForEachKind([&]<typename Item>(const Item&) {
    const std::size_t row = document.find("\n| " + std::to_string(KindOf<Item>::kNumber) + " | ");
    ASSERT_NE(row, std::string::npos) << "no kind " << int{KindOf<Item>::kNumber};
    const std::string line = document.substr(row, document.find('\n', row + 1) - row);
    std::apply(
        [&](const auto&... field) {
          const auto named = [&](std::uint8_t number) {
            return line.find((number == 1 ? "| " : ", ") + std::to_string(number) + " ") !=
                   std::string::npos;
          };
          EXPECT_TRUE((named(field.number) && ...)) << line;
        },
        KindOf<Item>::kFields);
  });
}

// -- What was answered ----------------------------------------------------------------------------

TEST(Answer, IsReadBackWithEveryCodeAndWithoutWhatIsNotStored) {
  Answer answer;
  for (int code = 1; code <= 16; ++code) {
    ItemResult& item = answer.items.emplace_back();
    item.status = absl::Status(static_cast<absl::StatusCode>(code), "no");
  }
  ItemResult& done = answer.items.emplace_back();
  done.effect = ItemEffect::kUpdated;
  done.id = "m1";
  done.count = 3;
  const std::string bytes = EncodeAnswer(answer);
  EXPECT_EQ(DecodeAnswer(bytes)->items, answer.items);
  Answer more = answer;
  more.items[0].status = WithDetail(more.items[0].status, {.item = 0, .field = "title"});
  more.items.back().memory = Memory{.id = "m1"};
  EXPECT_EQ(ToHex(EncodeAnswer(more)), ToHex(bytes));
}

// -- Bytes in the queue ---------------------------------------------------------------------------

TEST(ApproximateBytes, CountsWhatEveryFieldHolds) {
  const std::string large(1'000, 'x');
  const std::size_t empty = ApproximateBytes(TouchMemory{});
  EXPECT_EQ(ApproximateBytes({TouchMemory{}, TouchMemory{}}), 2 * empty);
  PutMemory put;
  put.content = put.title = large;
  put.tags = {large, large};
  put.scope = large;
  EXPECT_GE(ApproximateBytes(put), empty + 5'000);
  ImportMemory import;
  import.memory.content = import.memory.metadata = large;
  EXPECT_GE(ApproximateBytes(import), empty + 2'000);
  PatchMemory patch;
  patch.metadata = large;
  EXPECT_GE(ApproximateBytes(patch), empty + 1'000);
  RegisterAgent agent;
  agent.capabilities = {large};
  EXPECT_GE(ApproximateBytes(agent), empty + 1'000);
}

}  // namespace
}  // namespace aimem::execute
