#include "lib/merge/join.h"

#include <algorithm>
#include <compare>

namespace aimem::merge {
namespace {

using model::Part;
using model::Parts;
using Iterator = std::span<const Part>::iterator;

// Most names are a single byte: compare those without a call.
int CompareNames(std::string_view a, std::string_view b) {
  if (a.size() == 1 && b.size() == 1) {
    return static_cast<unsigned char>(a[0]) - static_cast<unsigned char>(b[0]);
  }
  return a.compare(b);
}

// The order that decides which of two parts of one name stays.
bool Beats(const Part& a, const Part& b) {
  const auto order = a.stamp <=> b.stamp;
  return order != 0 ? order > 0 : a.value > b.value;
}

const Part* Greater(const Part* a, const Part* b) {
  if (a == nullptr || b == nullptr) return a == nullptr ? b : a;
  return Beats(*b, *a) ? b : a;
}

// The parts that erase others. Their names sort before nearly all, so one look at the first few
// parts finds them.
struct Erasures {
  const Part* put = nullptr;
  const Part* deleted = nullptr;
  const Part* purged = nullptr;
};

Erasures FindErasures(std::span<const Part> parts) {
  Erasures found;
  for (const Part& part : parts) {
    const int order = CompareNames(part.name, model::part::kPurged);
    if (order > 0) break;
    if (order == 0) {
      found.purged = &part;
    } else if (part.name == model::part::kDeleted) {
      found.deleted = &part;
    } else if (part.name == model::part::kPut) {
      found.put = &part;
    }
  }
  return found;
}

// Whether a part outlives `deleted`, and a metadata part `put`. A put that `deleted` erases needs
// no care: what it would erase is older still.
class Survival {
 public:
  Survival(const Part* put, const Part* deleted) : put_(put), deleted_(deleted) {}
  [[nodiscard]] bool Of(const Part& part) const {
    if (deleted_ != nullptr && part.stamp <= deleted_->stamp) {
      return part.name == model::part::kDeleted;
    }
    return put_ == nullptr || part.stamp >= put_->stamp || !model::IsMetadata(part.name);
  }

 private:
  const Part* put_;
  const Part* deleted_;
};

}  // namespace

Parts Join(std::span<const Part> a, std::span<const Part> b) {
  const Erasures in_a = FindErasures(a);
  const Erasures in_b = FindErasures(b);
  if (const Part* purged = Greater(in_a.purged, in_b.purged)) return {*purged};
  const Survival survives(Greater(in_a.put, in_b.put), Greater(in_a.deleted, in_b.deleted));
  Parts joined;
  joined.reserve(a.size() + b.size());
  const auto keep = [&](const Part& part) {
    if (survives.Of(part)) joined.push_back(part);
  };
  Iterator left = a.begin();
  Iterator right = b.begin();
  while (left != a.end() && right != b.end()) {
    const int order = CompareNames(left->name, right->name);
    if (order < 0) {
      keep(*left++);
    } else if (order > 0) {
      keep(*right++);
    } else {
      keep(Beats(*right, *left) ? *right : *left);
      ++left;
      ++right;
    }
  }
  std::for_each(left, a.end(), keep);
  std::for_each(right, b.end(), keep);
  return joined;
}

bool Absorbs(std::span<const Part> have, std::span<const Part> incoming) {
  const Erasures ours = FindErasures(have);
  const Erasures theirs = FindErasures(incoming);
  if (ours.purged != nullptr) {
    return have.size() == 1 && Greater(ours.purged, theirs.purged) == ours.purged;
  }
  if (theirs.purged != nullptr) return false;
  if (Greater(ours.deleted, theirs.deleted) != ours.deleted) return false;
  // A greater put among theirs is found below, as a part that beats ours.
  const Survival survives(ours.put, ours.deleted);
  Iterator mine = have.begin();
  for (const Part& part : incoming) {
    if (!survives.Of(part)) continue;
    while (mine != have.end() && CompareNames(mine->name, part.name) < 0) ++mine;
    if (mine == have.end() || mine->name != part.name || Beats(part, *mine)) return false;
  }
  // Parts that our own `deleted` and `put` erase would go in the join, too.
  return std::all_of(have.begin(), have.end(), [&](const Part& part) { return survives.Of(part); });
}

const Part* Conflict(std::span<const Part> a, std::span<const Part> b) {
  Iterator left = a.begin();
  Iterator right = b.begin();
  while (left != a.end() && right != b.end()) {
    const int order = CompareNames(left->name, right->name);
    if (order == 0 && left->stamp == right->stamp && left->value != right->value &&
        !model::IsBorrowed(left->name)) {
      return &*left;
    }
    if (order <= 0) ++left;
    if (order >= 0) ++right;
  }
  return nullptr;
}

}  // namespace aimem::merge
