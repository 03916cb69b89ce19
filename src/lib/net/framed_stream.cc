#include "lib/net/framed_stream.h"

#include <algorithm>
#include <cstring>

#include "lib/net/stream_errors.h"

namespace vm::net {
namespace {

constexpr size_t kReadSize = 64 * 1024;
constexpr size_t kWriteSize = 64 * 1024;
constexpr size_t kMaxUnpackedAtOnce = 256 * 1024;
constexpr int kZstdLevel = 1;  // As the peers use.

}  // namespace

FramedStream::FramedStream(std::unique_ptr<Stream> stream, bool compress_writes,
                           bool compressed_reads)
    : stream_(std::move(stream)) {
  if (compress_writes) {
    compressor_ = std::make_unique<encoding::ZstdStreamCompressor>(kZstdLevel);
  }
  if (compressed_reads) decompressor_ = std::make_unique<encoding::ZstdStreamDecompressor>();
}

asio::awaitable<Result<size_t>> FramedStream::Fill() {
  in_pos_ = in_end_ = 0;
  if (!decompressor_) {
    in_.resize(kReadSize);  // Stays at that size: no byte is zeroed for nothing.
    auto n = co_await stream_->Read(in_);
    if (n.ok()) in_end_ = n.value();
    co_return n;
  }
  in_.clear();
  for (;;) {
    // What is left inside the decompressor comes out before more is read.
    ByteView packed(raw_.data() + raw_pos_, raw_.size() - raw_pos_);
    VM_CO_TRY(decompressor_->Decompress(in_, packed, kMaxUnpackedAtOnce));
    raw_pos_ = raw_.size() - packed.size();
    in_end_ = in_.size();
    if (!in_.empty()) co_return in_.size();
    if (raw_pos_ < raw_.size()) continue;
    raw_.resize(kReadSize);
    raw_pos_ = 0;
    auto n = co_await stream_->Read(raw_);
    raw_.resize(n.ok() ? n.value() : 0);
    if (!n.ok() || n.value() == 0) co_return n;
  }
}

asio::awaitable<Status> FramedStream::ReadFull(std::span<uint8_t> dst) {
  auto there = co_await ReadFullOrEof(dst);
  if (!there.ok()) co_return std::move(there).error();
  if (!there.value()) co_return Error(ErrorCode::kUnavailable, "EOF");
  co_return Ok();
}

asio::awaitable<Result<bool>> FramedStream::ReadFullOrEof(std::span<uint8_t> dst) {
  size_t done = 0;
  while (done < dst.size()) {
    if (in_pos_ == in_end_) {
      // Big plain reads go straight to their place.
      if (!decompressor_ && dst.size() - done >= kReadSize) {
        auto direct = co_await stream_->Read(dst.subspan(done));
        if (!direct.ok()) co_return std::move(direct).error();
        if (direct.value() == 0) {
          if (done == 0) co_return false;
          co_return Error(ErrorCode::kUnavailable, std::string(kUnexpectedEofText));
        }
        done += direct.value();
        continue;
      }
      auto filled = co_await Fill();
      if (!filled.ok()) co_return std::move(filled).error();
      if (filled.value() == 0) {
        if (done == 0) co_return false;
        co_return Error(ErrorCode::kUnavailable, std::string(kUnexpectedEofText));
      }
    }
    const size_t n = std::min(dst.size() - done, in_end_ - in_pos_);
    std::memcpy(dst.data() + done, in_.data() + in_pos_, n);
    in_pos_ += n;
    done += n;
  }
  co_return true;
}

asio::awaitable<Result<bool>> FramedStream::ReadAhead() {
  if (in_pos_ < in_end_) co_return true;
  auto filled = co_await Fill();
  if (!filled.ok()) co_return std::move(filled).error();
  co_return filled.value() > 0;
}

asio::awaitable<Status> FramedStream::Write(ByteView src) {
  if (compressor_) {
    compressor_->Compress(packed_, src);
    if (packed_.size() < kWriteSize) co_return Ok();
    auto status = co_await stream_->Write(packed_);
    packed_.clear();
    co_return status;
  }
  if (src.size() >= kWriteSize) {
    if (!out_.empty()) {
      auto status = co_await stream_->Write(out_);
      out_.clear();
      if (!status.ok()) co_return status;
    }
    co_return co_await stream_->Write(src);
  }
  Append(out_, src);
  if (out_.size() < kWriteSize) co_return Ok();
  auto status = co_await stream_->Write(out_);
  out_.clear();
  co_return status;
}

asio::awaitable<Status> FramedStream::Flush() {
  if (compressor_) {
    compressor_->Flush(packed_);
    out_.swap(packed_);
  }
  if (out_.empty()) co_return Ok();
  auto status = co_await stream_->Write(out_);
  out_.clear();
  co_return status;
}

}  // namespace vm::net
