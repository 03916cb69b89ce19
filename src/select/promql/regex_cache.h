#pragma once

#include <memory>
#include <string>

#include "lib/base/result.h"
#include "select/promql/text_cache.h"

namespace re2 {
class RE2;
}

namespace vm::select {

/// Compiled regular expressions of functions like `label_replace`, in Go's syntax. Thread-safe.
/// Reference: the metricsql repository, regexp_cache.go.
class RegexCache {
 public:
  /// An expression takes up to kMaxRegexBytes while it is kept, mostly some kilobytes.
  static constexpr size_t kMaxEntries = 128;
  static constexpr size_t kMaxTextBytes = 1'000'000;
  static constexpr int64_t kMaxRegexBytes = 1 << 20;

  RegexCache() : texts_(kMaxTextBytes, kMaxEntries) {}

  /// Compile, or what was compiled before. Errors: kInvalidInput with Go's text.
  Result<std::shared_ptr<const re2::RE2>> Compile(const std::string& expression);

  const TextCache<re2::RE2>& texts() const noexcept { return texts_; }

 private:
  TextCache<re2::RE2> texts_;
};

}  // namespace vm::select
