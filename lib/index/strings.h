// StringList: strings one after the other in one array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aimem::index {

class StringList {
 public:
  void Add(std::string_view text) {
    text_ += text;
    ends_.push_back(text_.size());
  }
  /// No more are added.
  void Finish() {
    text_.shrink_to_fit();
    ends_.shrink_to_fit();
  }

  [[nodiscard]] std::size_t size() const { return ends_.size(); }
  [[nodiscard]] std::string_view operator[](std::size_t number) const {
    const std::uint64_t begin = number == 0 ? 0 : ends_[number - 1];
    return std::string_view(text_).substr(begin, ends_[number] - begin);
  }
  [[nodiscard]] std::size_t ByteSize() const {
    return text_.size() + ends_.size() * sizeof(std::uint64_t);
  }

 private:
  friend class SegmentCode;  // segment_code.cc: their bytes
  std::string text_;
  std::vector<std::uint64_t> ends_;
};

}  // namespace aimem::index
