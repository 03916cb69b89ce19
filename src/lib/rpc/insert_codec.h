#pragma once

#include <string_view>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::rpc {

inline constexpr std::string_view kWriteRows = "writeRows_v1";
inline constexpr std::string_view kWriteMetadata = "writeMetadata_v1";

/// Clients compare these two texts exactly.
inline constexpr std::string_view kReadOnlyText = "storage node is read-only mode";
inline constexpr std::string_view kUnsupportedText = "rpcName is not supported by server";

inline constexpr size_t kMaxRpcNameSize = 128;
inline constexpr size_t kMaxInsertBodySize = 104857600;
inline constexpr size_t kMaxErrorSize = 65536;

/// Answer to a packet of the old protocol. DO NOT RENUMBER.
enum class LegacyAck : uint8_t { kAccepted = 1, kReadOnly = 2 };

/// What a client sends after `vminsert.03`: call name and body, one zstd frame or nothing.
struct InsertRequest {
  std::string_view rpc_name;
  ByteView body;
};
void AppendInsertRequest(ByteBuffer& dst, const InsertRequest& request);
/// Errors: kCorrupted; `src` stays.
Result<InsertRequest> TakeInsertRequest(ByteView& src);

/// Pack rows as a body. No rows give an empty body.
void PackInsertBody(ByteBuffer& dst, ByteView rows);
/// Errors: kCorrupted, also above kMaxInsertBodySize bytes.
Status UnpackInsertBody(ByteBuffer& dst, ByteView body);

/// The answer: a text, empty for success. Texts above kMaxErrorSize are cut.
void AppendErrorText(ByteBuffer& dst, std::string_view text);
Result<std::string_view> TakeErrorText(ByteView& src);

/// A packet of `vminsert.02`: size, then plain rows.
void AppendLegacyPacket(ByteBuffer& dst, ByteView rows);
Result<ByteView> TakeLegacyPacket(ByteView& src);

}  // namespace vm::rpc
