// A program that follows a store: what has changed since it was last run, whoever changed it.
//
//   example_follow_store memories.db memories.cursor
//
// Where it stands is kept in the second file, which is absent at first: then all that there is, is
// told. Run it again after "aimem --db memories.db store …".
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "aimem/backends/sqlite.h"
#include "aimem/change_feed.h"

namespace {

absl::StatusOr<aimem::ChangeCursor> ReadCursor(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return aimem::ChangeCursor::Everything();
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return aimem::ChangeCursor::FromBytes(bytes);
}

// In one step, so that a program that is killed finds the one before or this one.
bool KeepCursor(const std::string& path, const aimem::ChangeCursor& cursor) {
  const std::string next = path + ".next";
  std::ofstream file(next, std::ios::binary);
  file << cursor.ToBytes();
  file.close();
  return file.good() && std::rename(next.c_str(), path.c_str()) == 0;
}

void Show(const aimem::FeedChange& change) {
  std::cout << aimem::FeedWhatName(change.what) << ": ";
  if (change.memory) {
    std::cout << change.memory->namespace_ << '/' << change.memory->title << '\n';
  } else if (change.link) {
    std::cout << change.link->source_id << ' ' << change.link->relation << ' '
              << change.link->target_id << '\n';
  } else {
    std::cout << change.id << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "memories.db";
  const std::string kept = argc > 2 ? argv[2] : path + ".cursor";
  auto store = aimem::OpenSqliteStore(path, {.create = false, .read_only = true});
  auto from = ReadCursor(kept);
  if (!store.ok() || !from.ok()) {
    std::cerr << (store.ok() ? from.status() : store.status()) << '\n';
    return 1;
  }
  aimem::ChangeFeed feed(**store, *from);
  bool end = false;
  while (!end) {
    const auto page = feed.Next();
    if (!page.ok()) {
      std::cerr << "the store cannot be followed now: " << page.status() << '\n';
      return 1;
    }
    for (const aimem::FeedChange& change : page->changes) Show(change);
    // Only now: what was shown and not kept is shown again.
    if (!KeepCursor(kept, page->next)) {
      std::cerr << "cannot write " << kept << '\n';
      return 1;
    }
    end = page->end;  // a program that goes on would wait a while, and ask again
  }
  return (*store)->Close().ok() ? 0 : 1;
}
