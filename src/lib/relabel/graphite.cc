#include "lib/relabel/graphite.h"

#include <charconv>

namespace vm::relabel {
namespace {

size_t ParseIndex(std::string_view text, size_t otherwise) {
  size_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  return error == std::errc() && end == text.data() + text.size() ? index : otherwise;
}

}  // namespace

GraphitePattern::GraphitePattern(std::string_view text) {
  while (!text.empty()) {
    const size_t size = text.front() == '*' ? 1 : std::min(text.find('*'), text.size());
    parts_.emplace_back(text.substr(0, size));
    text.remove_prefix(size);
  }
}

bool GraphitePattern::Match(std::string_view name, std::vector<std::string_view>& captures) const {
  captures.assign(1, name);
  std::string_view rest = name;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i] != "*") {
      if (!rest.starts_with(parts_[i])) return false;
      rest.remove_prefix(parts_[i].size());
      continue;
    }
    // `*` reaches to the first place where the next part stands.
    const bool is_last = i + 1 == parts_.size();
    const size_t size = is_last ? rest.size() : rest.find(parts_[i + 1]);
    if (size == std::string_view::npos || rest.substr(0, size).find('.') != std::string_view::npos) return false;
    captures.push_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  return rest.empty();
}

GraphiteTemplate::GraphiteTemplate(std::string_view text) {
  while (!text.empty()) {
    const size_t dollar = text.find('$');
    if (dollar != 0) {
      parts_.push_back(Part{std::string(text.substr(0, dollar))});
      if (dollar == std::string_view::npos) return;
      text.remove_prefix(dollar);
    }
    const bool is_braced = text.starts_with("${");
    size_t size = 1;
    if (is_braced) {
      size = text.find('}');
      if (size == std::string_view::npos) {
        parts_.push_back(Part{std::string(text)});
        return;
      }
      ++size;
    } else {
      while (size < text.size() && text[size] >= '0' && text[size] <= '9') ++size;
    }
    const std::string_view digits = is_braced ? text.substr(2, size - 3) : text.substr(1, size - 1);
    parts_.push_back(Part{std::string(text.substr(0, size)), ParseIndex(digits, kNoCapture)});
    text.remove_prefix(size);
  }
}

std::string GraphiteTemplate::Expand(const std::vector<std::string_view>& captures) const {
  std::string expanded;
  for (const Part& part : parts_) {
    if (part.capture < captures.size()) {
      expanded += captures[part.capture];
    } else {
      expanded += part.text;
    }
  }
  return expanded;
}

}  // namespace vm::relabel
