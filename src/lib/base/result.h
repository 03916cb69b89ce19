#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace vm {

/// What a caller can do about a failure; the message says what happened.
enum class ErrorCode : uint8_t {
  kInvalidInput,   // The client sent something wrong: answer 4xx, do not retry.
  kCorrupted,      // Bytes on disk or on the wire break their format.
  kIo,             // The operating system refused a read, a write or a sync.
  kUnavailable,    // A peer is down or too slow: try another one.
  kLimitExceeded,  // A configured limit was hit; the message names the flag.
  kCancelled,      // Shutdown, or the client went away.
};

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }

  /// Put "context: " in front of the message; the code stays the same.
  Error WithContext(std::string_view context) && {
    message_.insert(0, std::string(context) + ": ");
    return std::move(*this);
  }

 private:
  ErrorCode code_;
  std::string message_;
};

/// A value, or the Error that explains why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const noexcept { return state_.index() == 0; }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  /// By value: a range-for over F().value() must not outlive F()'s result.
  T value() && { return std::get<0>(std::move(state_)); }
  const Error& error() const& { return std::get<1>(state_); }
  Error error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

/// Success, or an Error.
using Status = Result<std::monostate>;

inline Status Ok() { return Status(std::monostate{}); }

#define VM_CONCAT_INNER_(a, b) a##b
#define VM_CONCAT_(a, b) VM_CONCAT_INNER_(a, b)

/// Return the error of `expr` to the caller, if there is one.
#define VM_TRY(expr)                                  \
  do {                                                \
    if (auto vm_status_ = (expr); !vm_status_.ok()) { \
      return std::move(vm_status_).error();           \
    }                                                 \
  } while (false)

/// `VM_TRY` for coroutines.
#define VM_CO_TRY(expr)                               \
  do {                                                \
    if (auto vm_status_ = (expr); !vm_status_.ok()) { \
      co_return std::move(vm_status_).error();        \
    }                                                 \
  } while (false)

/// `VM_ASSIGN_OR_RETURN(auto x, F());`: bind the value, or return the error.
#define VM_ASSIGN_OR_RETURN(lhs, expr) \
  VM_ASSIGN_OR_RETURN_IMPL_(VM_CONCAT_(vm_result_, __LINE__), lhs, expr)
#define VM_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr)     \
  auto tmp = (expr);                                  \
  if (!tmp.ok()) return std::move(tmp).error();       \
  lhs = std::move(tmp).value()

/// `VM_ASSIGN_OR_RETURN` for coroutines.
#define VM_CO_ASSIGN_OR_RETURN(lhs, expr) \
  VM_CO_ASSIGN_OR_RETURN_IMPL_(VM_CONCAT_(vm_result_, __LINE__), lhs, expr)
#define VM_CO_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr)  \
  auto tmp = (expr);                                  \
  if (!tmp.ok()) co_return std::move(tmp).error();    \
  lhs = std::move(tmp).value()

}  // namespace vm
