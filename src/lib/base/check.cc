#include "lib/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace vm {

void CheckFailed(const char* file, int line, const char* condition,
                 std::string_view message) noexcept {
  std::fprintf(stderr, "panic: %s:%d: check does not hold: %s%s%.*s\n", file, line, condition,
               message.empty() ? "" : ": ", static_cast<int>(message.size()), message.data());
  std::abort();
}

}  // namespace vm
