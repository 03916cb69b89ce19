#include "lib/rpc/insert_codec.h"

#include "lib/encoding/zstd.h"
#include "lib/rpc/frame.h"

namespace vm::rpc {

void AppendInsertRequest(ByteBuffer& dst, const InsertRequest& request) {
  AppendFrame(dst, request.rpc_name);
  AppendFrame(dst, request.body);
}

Result<InsertRequest> TakeInsertRequest(ByteView& src) {
  ByteView rest = src;
  VM_ASSIGN_OR_RETURN(const ByteView name, TakeFrame(rest, kMaxRpcNameSize));
  VM_ASSIGN_OR_RETURN(const ByteView body, TakeFrame(rest, kMaxInsertBodySize));
  src = rest;
  return InsertRequest{AsText(name), body};
}

void PackInsertBody(ByteBuffer& dst, ByteView rows) {
  if (!rows.empty()) encoding::CompressZstd(dst, rows, 1);
}

Status UnpackInsertBody(ByteBuffer& dst, ByteView body) {
  if (body.empty()) return Ok();
  return encoding::DecompressZstd(dst, body, kMaxInsertBodySize);
}

void AppendErrorText(ByteBuffer& dst, std::string_view text) {
  AppendFrame(dst, text.substr(0, kMaxErrorSize));
}

Result<std::string_view> TakeErrorText(ByteView& src) {
  VM_ASSIGN_OR_RETURN(const ByteView text, TakeFrame(src, kMaxErrorSize));
  return AsText(text);
}

void AppendLegacyPacket(ByteBuffer& dst, ByteView rows) { AppendFrame(dst, rows); }

Result<ByteView> TakeLegacyPacket(ByteView& src) { return TakeFrame(src, kMaxInsertBodySize); }

}  // namespace vm::rpc
