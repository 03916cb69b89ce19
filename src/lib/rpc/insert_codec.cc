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
  // The level of the original. Series come again only after all others of their sender: a window of 512 KiB holds one scrape of some
  // hosts, this one holds more of them, which saves a tenth of the bytes and some time.
  constexpr int kLevel = 1;
  constexpr int kWindowLog = 22;
  if (!rows.empty()) encoding::CompressZstd(dst, rows, kLevel, kWindowLog);
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
