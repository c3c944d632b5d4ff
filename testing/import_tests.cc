// ImportMemory, registrations of agents, standards of namespaces.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkImportTests() {}
}  // namespace conformance

namespace {

using conformance::Note;
using conformance::Row;
using conformance::Text;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_P(StoreConformance, ImportWritesEveryFieldAsItIs) {
  Memory memory = Row("my-own-id", "imported", Now() - absl::Hours(1'000));
  memory.tier = Tier::kShort;
  memory.tags = {"a", "b"};
  memory.priority = 9;
  memory.confidence = 0.125;
  memory.source = "mine-claude";
  memory.access_count = 42;
  memory.updated_at = Now() - absl::Hours(500);
  memory.last_accessed_at = Now() - absl::Hours(1);
  memory.expires_at = Now() + absl::Hours(1);
  memory.metadata = R"({"agent_id":"ai:author","k":[1,2]})";
  const ItemResult result = Do(ImportMemory{.memory = memory});
  EXPECT_EQ(result.effect, ItemEffect::kCreated);
  EXPECT_EQ(result.id, "my-own-id");
  EXPECT_EQ(Stored("my-own-id"), memory);
}

TEST_P(StoreConformance, ImportOfAnIdThatIsHereKeepsItsBirthAndAuthor) {
  const absl::Time born = Now() - absl::Hours(10);
  Memory memory = Row("id-1", "title", born);
  memory.metadata = R"({"agent_id":"ai:author"})";
  Do(ImportMemory{.memory = memory});
  Memory newer = Row("id-1", "another title", Now());
  newer.content = "newer";
  newer.metadata = R"({"agent_id":"ai:thief","k":1})";
  EXPECT_EQ(Do(ImportMemory{.memory = newer}).effect, ItemEffect::kUpdated);
  const Memory stored = Stored("id-1");
  EXPECT_EQ(stored.title, "another title");
  EXPECT_EQ(stored.content, "newer");
  EXPECT_EQ(stored.created_at, born);
  EXPECT_EQ(stored.metadata, R"({"agent_id":"ai:author","k":1})");
}

TEST_P(StoreConformance, ImportIntoTheArchiveKeepsTheTime) {
  const absl::Time archived_at = absl::FromUnixMillis(1'700'000'000'123);
  const Memory memory = Row("id-1", "title", Now() - absl::Hours(1));
  Do(ImportMemory{.memory = memory, .archived_at = archived_at});
  EXPECT_FALSE(Live("id-1"));
  const std::vector<ArchivedMemory> archive = Archive();
  ASSERT_THAT(archive, SizeIs(1));
  EXPECT_EQ(archive[0].memory, memory);
  EXPECT_EQ(archive[0].archived_at, archived_at);
  EXPECT_EQ(archive[0].reason, ArchiveReason::kForget);
}

TEST_P(StoreConformance, ImportUnderATakenNameIsRefused) {
  const std::string id = Id(Note("title"));
  const absl::Status status = Refusal(ImportMemory{.memory = Row("another", "title", Now())});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << status;
  EXPECT_EQ(Text(status), "title 'title' already exists in namespace 'notes' (memory " + id + ")");
}

TEST_P(StoreConformance, ImportIsValidated) {
  Memory memory = Row("", "title", Now());
  EXPECT_EQ(Text(Refusal(ImportMemory{.memory = memory})), "id cannot be empty");
  memory.id = std::string(129, 'i');
  EXPECT_EQ(Text(Refusal(ImportMemory{.memory = memory})), "id exceeds max length of 128 bytes");
  memory.id = "id";
  memory.access_count = -1;
  EXPECT_EQ(Text(Refusal(ImportMemory{.memory = memory})), "access_count cannot be negative");
  memory.access_count = 0;
  memory.source = "unheard-of";
  EXPECT_EQ(Refusal(ImportMemory{.memory = memory}).code(), absl::StatusCode::kInvalidArgument);
  memory.source = "api";
  memory.created_at = absl::FromUnixSeconds(-20'000'000'000);  // the year 1336
  EXPECT_EQ(Refusal(ImportMemory{.memory = memory}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreConformance, ImportAcceptsAPastExpiryAndDropsOneBeyondTheRange) {
  Memory memory = Row("past", "past", Now());
  memory.expires_at = Now() - absl::Hours(1);
  Do(ImportMemory{.memory = memory});
  EXPECT_EQ(Stored("past").expires_at, memory.expires_at);
  memory = Row("beyond", "beyond", Now());
  memory.expires_at = absl::FromUnixSeconds(20'000'000'000);  // the year 2603
  Do(ImportMemory{.memory = memory});
  EXPECT_EQ(Stored("beyond").expires_at, std::nullopt);
}

TEST_P(StoreConformance, PutOnAnImportedNameUpdatesTheImportedId) {
  Do(ImportMemory{.memory = Row("my-own-id", "title", Now())});
  const ItemResult result = Do(Note("title", "new content"));
  EXPECT_EQ(result.effect, ItemEffect::kUpdated);
  EXPECT_EQ(result.id, "my-own-id");
  EXPECT_EQ(Stored("my-own-id").content, "new content");
}

// -- Agents
// -----------------------------------------------------------------------------------------

TEST_P(StoreConformance, RegistrationIsALongMemoryThatIsRefreshed) {
  const absl::Time first = Now();
  const ItemResult created = Do(RegisterAgent{"ai:one", "ai:claude-opus-4.7", {"read"}});
  EXPECT_EQ(created.effect, ItemEffect::kCreated);
  clock().Advance(absl::Minutes(5));
  Do(RegisterAgent{"human:two", "human", {}});
  const ItemResult again = Do(RegisterAgent{"ai:one", "ai:another", {"read", "write"}});
  EXPECT_EQ(again.effect, ItemEffect::kUpdated);
  EXPECT_EQ(again.id, created.id);

  const Memory memory = Stored(created.id);
  EXPECT_EQ(memory.namespace_, "_agents");
  EXPECT_EQ(memory.title, "agent:ai:one");
  EXPECT_EQ(memory.tier, Tier::kLong);
  EXPECT_EQ(memory.expires_at, std::nullopt);
  EXPECT_EQ(memory.source, "system");
  EXPECT_THAT(memory.tags, ElementsAre("agent-registration"));
  EXPECT_THAT(memory.metadata, ::testing::HasSubstr(R"("agent_id":"ai:one")"));
  EXPECT_THAT(memory.metadata, ::testing::HasSubstr(R"("agent_type":"ai:another")"));
  EXPECT_THAT(memory.metadata, ::testing::HasSubstr(R"("capabilities":["read","write"])"));
  EXPECT_THAT(memory.metadata,
              ::testing::HasSubstr("\"registered_at\":\"2026-03-01T12:00:00.123456789+00:00\""));
  EXPECT_THAT(memory.metadata,
              ::testing::HasSubstr("\"last_seen_at\":\"2026-03-01T12:05:00.123456789+00:00\""));
  EXPECT_EQ(memory.created_at, first);

  ListRequest request;
  request.kind = ListKind::kAgents;
  const auto list = store().List(request);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(conformance::Titles(list->memories), ElementsAre("agent:ai:one", "agent:human:two"));
}

TEST_P(StoreConformance, RegistrationIsValidated) {
  EXPECT_EQ(Text(Refusal(RegisterAgent{"", "human", {}})), "agent_id cannot be empty");
  EXPECT_EQ(Text(Refusal(RegisterAgent{"a", "", {}})), "agent_type cannot be empty");
  EXPECT_EQ(Text(Refusal(RegisterAgent{"a", "ai:", {}})),
            "agent_type 'ai:' must include a name (e.g. 'ai:claude-opus-4.7')");
  EXPECT_EQ(Refusal(RegisterAgent{"a", "robot", {}}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Text(Refusal(RegisterAgent{"a", "human", {" "}})), "tags cannot contain empty strings");
}

// -- Standards
// --------------------------------------------------------------------------------------

std::vector<NamespaceStandard> Standards(Store& store) {
  ListRequest request;
  request.kind = ListKind::kStandards;
  const auto list = store.List(request);
  EXPECT_TRUE(list.ok()) << list.status();
  return list.ok() ? list->standards : std::vector<NamespaceStandard>{};
}

TEST_P(StoreConformance, StandardIsSetReplacedAndCleared) {
  const std::string kPolicy =
      R"({"approver":"human","delete":"any","promote":"any","write":"any"})";
  const std::string one = Id(Note("one"));
  const std::string two = Id(Note("two"));
  Do(SetStandard{
      .namespace_ = "b",
      .memory_id = one,
      .parent = "",
      .policy = R"({ "write":"any", "promote":"any","delete":"any","approver":"human"})"});
  Do(SetStandard{.namespace_ = "a", .memory_id = one, .parent = "b", .policy = ""});
  EXPECT_THAT(Standards(store()), ElementsAre(NamespaceStandard{"a", one, "b", ""},
                                              NamespaceStandard{"b", one, "", kPolicy}));
  // An absent policy keeps the one there.
  Do(SetStandard{.namespace_ = "b", .memory_id = two, .parent = "a", .policy = ""});
  EXPECT_THAT(Standards(store()), ElementsAre(NamespaceStandard{"a", one, "b", ""},
                                              NamespaceStandard{"b", two, "a", kPolicy}));
  EXPECT_EQ(Do(ClearStandard{"b"}).effect, ItemEffect::kDeleted);
  EXPECT_EQ(Do(ClearStandard{"b"}).effect, ItemEffect::kUnchanged);
  EXPECT_THAT(Standards(store()), ElementsAre(NamespaceStandard{"a", one, "b", ""}));
}

TEST_P(StoreConformance, StandardNeedsALiveMemoryAndAnotherParent) {
  const std::string id = Id(Note("one"));
  const absl::Status absent =
      Refusal(SetStandard{.namespace_ = "a", .memory_id = "nobody", .parent = "", .policy = ""});
  EXPECT_EQ(absent.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Text(absent), "memory not found: nobody");
  const absl::Status own =
      Refusal(SetStandard{.namespace_ = "a", .memory_id = id, .parent = "a", .policy = ""});
  EXPECT_EQ(Text(own), "namespace cannot be its own parent");
}

TEST_P(StoreConformance, DeletingAMemoryRemovesItsStandards) {
  const std::string id = Id(Note("one"));
  Do(SetStandard{.namespace_ = "a", .memory_id = id, .parent = "", .policy = ""});
  Do(DeleteMemory{id});
  EXPECT_THAT(Standards(store()), IsEmpty());
}

}  // namespace
}  // namespace aimem
