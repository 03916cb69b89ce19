#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace vm::net {

// How the texts of stream errors end; contexts are put in front of them.
inline constexpr std::string_view kTimeoutText = "timeout";
inline constexpr std::string_view kUnexpectedEofText = "unexpected EOF";

/// Whether the deadline of a stream has passed.
inline bool IsTimeout(const Error& error) {
  return error.code() == ErrorCode::kUnavailable && error.message().ends_with(kTimeoutText);
}

/// Whether the peer closed a stream inside a message.
inline bool IsUnexpectedEof(const Error& error) {
  return error.code() == ErrorCode::kUnavailable && error.message().ends_with(kUnexpectedEofText);
}

}  // namespace vm::net
