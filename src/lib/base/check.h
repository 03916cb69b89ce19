#pragma once

#include <string_view>

namespace vm {

/// Print "panic: <file>:<line>: <message>" to stderr and abort. For our own bugs only.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              std::string_view message) noexcept;

}  // namespace vm

/// Stop the process when `condition` is false: always compiled in, since a wrong block written is
/// worse than a crash.
#define VM_CHECK(condition)                                                     \
  do {                                                                          \
    if (!(condition)) ::vm::CheckFailed(__FILE__, __LINE__, #condition, {});    \
  } while (false)

/// `VM_CHECK` with a text that names the values.
#define VM_CHECK_MSG(condition, message)                                             \
  do {                                                                               \
    if (!(condition)) ::vm::CheckFailed(__FILE__, __LINE__, #condition, (message));  \
  } while (false)

#ifdef NDEBUG
#define VM_DCHECK(condition) static_cast<void>(0)
#else
#define VM_DCHECK(condition) VM_CHECK(condition)
#endif
