#pragma once

#include <memory>
#include <optional>

#include "lib/encoding/zstd.h"
#include "lib/net/stream.h"

namespace vm::net {

/// A buffered Stream whose directions may be zstd-compressed, as after a handshake. Messages are
/// appended with Write and leave with Flush; 64 KiB or more leave earlier. Strand-confined.
/// Format: wire protocol, "Byte streams after the handshake".
class FramedStream {
 public:
  FramedStream(std::unique_ptr<Stream> stream, bool compress_writes, bool compressed_reads);
  FramedStream(const FramedStream&) = delete;
  FramedStream& operator=(const FramedStream&) = delete;

  /// Fill `dst`. Errors: kUnavailable ("EOF" when nothing came, "unexpected EOF"), kCorrupted for bad zstd.
  asio::awaitable<Status> ReadFull(std::span<uint8_t> dst);
  /// As ReadFull, but false when the peer closed before the first byte.
  asio::awaitable<Result<bool>> ReadFullOrEof(std::span<uint8_t> dst);
  /// Read on until there is something that nobody has taken; false when the peer has closed. Errors: as ReadFull.
  asio::awaitable<Result<bool>> ReadAhead();
  /// What has been read from the peer and nobody has taken yet; valid until the next read.
  ByteView buffered() const noexcept { return ByteView(in_).subspan(in_pos_, in_end_ - in_pos_); }
  /// Take bytes off the front of buffered().
  void DropBuffered(size_t size) noexcept { in_pos_ += size; }
  /// Append a message, or a piece of one. `src` is copied.
  asio::awaitable<Status> Write(ByteView src);
  /// Send what was written, ending on a zstd block boundary.
  asio::awaitable<Status> Flush();

  void SetDeadline(const Deadline& deadline) { stream_->SetDeadline(deadline); }
  /// Thread-safe.
  void Close() { stream_->Close(); }
  asio::any_io_executor executor() { return stream_->executor(); }
  std::string remote_addr() const { return stream_->remote_addr(); }
  std::string local_addr() const { return stream_->local_addr(); }
  bool compress_writes() const noexcept { return compressor_ != nullptr; }
  bool compressed_reads() const noexcept { return decompressor_ != nullptr; }

 private:
  asio::awaitable<Result<size_t>> Fill();

  std::unique_ptr<Stream> stream_;
  std::unique_ptr<encoding::ZstdStreamCompressor> compressor_;
  std::unique_ptr<encoding::ZstdStreamDecompressor> decompressor_;
  ByteBuffer raw_;          // Compressed bytes read and not yet unpacked; from raw_pos_.
  size_t raw_pos_ = 0;
  ByteBuffer in_;           // Readable bytes from in_pos_ to in_end_.
  size_t in_pos_ = 0;
  size_t in_end_ = 0;
  ByteBuffer out_;          // Written, not sent; still plain when compressing.
  ByteBuffer packed_;       // Compressed, not sent.
};

}  // namespace vm::net
