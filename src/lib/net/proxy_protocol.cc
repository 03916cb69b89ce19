#include "lib/net/proxy_protocol.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstring>
#include <string>
#include <utility>

namespace vm::net {
namespace {

constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr size_t kMaxBlockBytes = 2048;

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

/// A stream whose peer is said to be somebody else.
class ProxiedStream : public Stream {
 public:
  ProxiedStream(std::unique_ptr<Stream> stream, std::string remote_addr)
      : stream_(std::move(stream)), remote_addr_(std::move(remote_addr)) {}

  asio::awaitable<Result<size_t>> Read(std::span<uint8_t> dst) override { return stream_->Read(dst); }
  asio::awaitable<Status> Write(ByteView src) override { return stream_->Write(src); }
  void SetDeadline(const Deadline& deadline) override { stream_->SetDeadline(deadline); }
  void Close() override { stream_->Close(); }
  asio::any_io_executor executor() override { return stream_->executor(); }
  std::string remote_addr() const override { return remote_addr_; }
  std::string local_addr() const override { return stream_->local_addr(); }

 private:
  const std::unique_ptr<Stream> stream_;
  const std::string remote_addr_;
};

/// "ip:port" of the source in a block for `family`.
Result<std::string> SourceAddr(uint8_t family, ByteView block) {
  if (family == 1) {
    if (block.size() < 12) return Bad(fmt::format("cannot read ipv4 address from {} bytes; want 12", block.size()));
    return fmt::format("{}.{}.{}.{}:{}", block[0], block[1], block[2], block[3], LoadBigEndian<uint16_t>(block.data() + 8));
  }
  if (family == 2) {
    if (block.size() < 36) return Bad(fmt::format("cannot read ipv6 address from {} bytes; want 36", block.size()));
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), block.data(), bytes.size());
    return fmt::format("[{}]:{}", asio::ip::address_v6(bytes).to_string(), LoadBigEndian<uint16_t>(block.data() + 32));
  }
  return Bad(fmt::format("unsupported proxy protocol family {}; supported values: 1, 2", family));
}

}  // namespace

asio::awaitable<Result<std::unique_ptr<Stream>>> AcceptProxyHeader(std::unique_ptr<Stream> stream) {
  std::array<uint8_t, 16> header;
  VM_CO_TRY(co_await ReadFull(*stream, header));
  if (AsText(ByteView(header).first(kSignature.size())) != kSignature) co_return Bad("unexpected proxy protocol header");
  const uint8_t version = header[12] >> 4;
  const uint8_t command = header[12] & 15;
  const uint8_t family = header[13] >> 4;
  const uint8_t protocol = header[13] & 15;
  if (version != 2) co_return Bad(fmt::format("unsupported proxy protocol version {}; want 2", version));
  // Health checks of the proxy itself are "local" and name no protocol.
  if (command > 1 || (protocol != 1 && !(protocol == 0 && command == 0))) {
    co_return Bad(fmt::format("unsupported proxy protocol command {} for protocol {}", command, protocol));
  }
  const size_t size = LoadBigEndian<uint16_t>(header.data() + 14);
  if (size > kMaxBlockBytes) co_return Bad(fmt::format("too big proxy protocol block: {} bytes; want {}", size, kMaxBlockBytes));
  ByteBuffer block(size);
  if (size > 0) VM_CO_TRY(co_await ReadFull(*stream, block));
  if (command == 0) co_return std::move(stream);
  VM_CO_ASSIGN_OR_RETURN(std::string addr, SourceAddr(family, block));
  std::unique_ptr<Stream> proxied = std::make_unique<ProxiedStream>(std::move(stream), std::move(addr));
  co_return std::move(proxied);
}

}  // namespace vm::net
