#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/base/still_busy.h"
#include "lib/bytes/bytes.h"

// Internals of indexdb: small things that all scans need.
namespace vm::indexdb {

/// Metric ids, sorted and unique unless said otherwise.
using Ids = std::vector<uint64_t>;

/// Asks the clock once in a while, and says that the search goes on.
class Pacer {
 public:
  explicit Pacer(const Deadline& deadline) : deadline_(deadline) {}

  /// Errors: kCancelled, "deadline exceeded". The first call asks too.
  Status Check() {
    const size_t count = count_++;
    if (count % kTellEvery == 0) StillBusy();
    if (count % kCheckEvery != 0) return Ok();
    if (deadline_.Expired() || deadline_.Cancelled()) return Error(ErrorCode::kCancelled, "deadline exceeded");
    return Ok();
  }

 private:
  static constexpr size_t kTellEvery = 64;
  static constexpr size_t kCheckEvery = 4096;

  const Deadline& deadline_;
  size_t count_ = 0;
};

inline void SortUnique(Ids& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}
inline Ids Union(const Ids& a, const Ids& b) {
  Ids result;
  result.reserve(a.size() + b.size());
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}
inline Ids Intersection(const Ids& a, const Ids& b) {
  Ids result;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}
inline Ids Difference(const Ids& a, const Ids& b) {
  Ids result;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}

inline bool StartsWith(ByteView item, ByteView prefix) {
  return item.size() >= prefix.size() && Equal(item.subspan(0, prefix.size()), prefix);
}

/// The least byte string above all that start with `prefix`. Requires a byte other than ff in it.
inline ByteBuffer PrefixEnd(ByteBuffer prefix) {
  while (!prefix.empty() && prefix.back() == 0xff) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

}  // namespace vm::indexdb
