#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/net/framed_stream.h"

namespace vm::net {

inline constexpr std::string_view kHelloInsertRpc = "vminsert.03";
inline constexpr std::string_view kHelloInsertLegacy = "vminsert.02";
inline constexpr std::string_view kHelloSelect = "vmselect.01";
inline constexpr size_t kHelloSize = 11;

/// Where a handshake ended; says whether an older protocol should be tried.
enum class HandshakeStage : uint8_t { kHello, kReadOkAfterHello, kFlags, kDone };

/// Client side. `stage`, when given, tells where it stopped. `timeout` covers all steps; afterwards
/// the stream has no deadline. Errors: kUnavailable, kCorrupted.
asio::awaitable<Result<std::unique_ptr<FramedStream>>> ClientHandshake(
    std::unique_ptr<Stream> stream, std::string_view hello, bool compress_writes,
    std::chrono::milliseconds timeout, HandshakeStage* stage = nullptr);

/// What a server knows after a handshake.
struct ServerSession {
  std::string hello;
  /// Null when the peer closed before the first byte: a health check, to be ignored.
  std::unique_ptr<FramedStream> stream;
};

/// Server side: `accepted` are the hellos it knows; others get nothing and an error.
/// Errors: kUnavailable (EOF, timeout), kInvalidInput (unknown hello).
asio::awaitable<Result<ServerSession>> ServerHandshake(std::unique_ptr<Stream> stream,
                                                       std::span<const std::string_view> accepted,
                                                       bool compress_writes,
                                                       std::chrono::milliseconds timeout);

}  // namespace vm::net
