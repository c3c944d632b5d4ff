// What the bodies of the suite share.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "aimem/memory.h"
#include "aimem/store.h"
#include "aimem/testing/store_conformance.h"
#include "aimem/write_batch.h"

namespace aimem::conformance {

/// A valid memory of namespace "notes".
PutMemory Note(std::string title, std::string content = "some content");
/// A valid memory to import.
Memory Row(std::string id, std::string title, absl::Time time);

std::string Text(const absl::Status& status);
std::vector<std::string> Titles(const std::vector<Memory>& memories);
std::vector<std::string> Titles(const SearchResult& result);

/// All that a reader can see of a store, a line each: for comparing two.
std::vector<std::string> Dump(Store& store);

/// Give `to` all that `from` has beyond `cursor`, a page of `limit` at a time. Returns rows
/// changed.
std::int64_t Copy(Store& from, Store& to, ChangeCursor cursor, const ReadChangesLimit& limit = {});
/// What `to` lacks, by its vector.
std::int64_t CatchUp(Store& from, Store& to, const ReadChangesLimit& limit = {});
Id128 Root(Store& store);
VersionVector Vector(Store& store);

// AllTests asks for these, one of each file with tests, so that none is left out.
void LinkPutTests();
void LinkImportTests();
void LinkGovernanceTests();
void LinkPatchTests();
void LinkArchiveTests();
void LinkEraseTests();
void LinkLinkTests();
void LinkBatchTests();
void LinkFindTests();
void LinkFollowTests();
void LinkFeedTests();
void LinkLifeTests();

}  // namespace aimem::conformance
