// What a kind of write says of itself. docs/extending.md has the steps to a new one.
#pragma once

#include <string>

#include "aimem/backends/backend.h"

namespace aimem::execute {

/// The home of a kind of write: one specialisation per alternative of WriteItem, in kinds/, with
///
///   static constexpr std::uint8_t kNumber;   // stored in hashes of requests: never renumbered
///   static constexpr std::tuple kFields;     // every field with its number, never renumbered
///   static void Reads(const Item&, ReadList&);  // what it will certainly ask for
///
/// and one of
///
///   static absl::StatusOr<ItemResult> Execute(const Item&, Batch&);
///   static absl::StatusOr<FilterRule> Filter(const Item&);  // refuses an item that makes no sense
///
/// A kind that lacks one does not compile (kinds.h).
template <typename Item>
struct KindOf;

/// Collects what items will certainly ask for, so that one round trip brings it. Nothing is
/// validated yet: what is too long to be anything is not asked for, and a name with blanks around
/// it costs one more round trip.
class ReadList {
 public:
  /// Adds to `reads`, which must outlive it.
  explicit ReadList(ReadSet& reads) : reads_(reads) {}

  void Memory(const std::string& id);
  /// Who has this name.
  void Name(const std::string& namespace_, const std::string& title);
  /// A link and both ends.
  void Link(const std::string& source, const std::string& target, const std::string& relation);
  void Standard(const std::string& namespace_);
  void Pending(const std::string& id);

 private:
  ReadSet& reads_;
};

}  // namespace aimem::execute
