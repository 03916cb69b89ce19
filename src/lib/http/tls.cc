#include "lib/http/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "lib/base/mutex.h"

namespace vm::http {
namespace {

using net::asio::awaitable;

constexpr size_t kPieceSize = 16 * 1024;

std::string LastError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown reason";
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using ContextPtr = std::shared_ptr<SSL_CTX>;
using SslPtr = std::unique_ptr<SSL, SslDeleter>;

/// Suites of TLS 1.2 and older under the names of OpenSSL; those of TLS 1.3 cannot be chosen in Go either.
constexpr std::pair<std::string_view, const char*> kCipherNames[] = {
    {"TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"},
};

Result<int> ParseMinVersion(std::string_view text) {
  if (text.empty() || text == "TLS12") return TLS1_2_VERSION;
  if (text == "TLS10") return TLS1_VERSION;
  if (text == "TLS11") return TLS1_1_VERSION;
  if (text == "TLS13") return TLS1_3_VERSION;
  return Error(ErrorCode::kInvalidInput, fmt::format("unsupported minimum TLS version: \"{}\"", text));
}

/// TLS over another stream. Strand-confined like the stream below. OpenSSL only sees memory: bytes are carried
/// between it and the stream here.
class TlsStream : public net::Stream {
 public:
  TlsStream(std::unique_ptr<net::Stream> stream, ContextPtr context, SslPtr ssl)
      : stream_(std::move(stream)),
        context_(std::move(context)),
        ssl_(std::move(ssl)),
        flushed_(stream_->executor(), std::chrono::steady_clock::time_point::max()) {
    from_peer_ = BIO_new(BIO_s_mem());
    to_peer_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), from_peer_, to_peer_);  // Takes both over.
  }
  ~TlsStream() override { stream_->Close(); }

  awaitable<Status> Handshake() {
    for (;;) {
      ERR_clear_error();
      const int code = SSL_do_handshake(ssl_.get());
      const int reason = SSL_get_error(ssl_.get(), code);
      const std::string text = code == 1 || reason == SSL_ERROR_WANT_READ ? "" : LastError();
      VM_CO_TRY(co_await Flush());
      if (code == 1) co_return Ok();
      if (reason != SSL_ERROR_WANT_READ) {
        co_return Error(ErrorCode::kInvalidInput, fmt::format("TLS handshake error: {}", text));
      }
      auto more = co_await Fill();
      if (!more.ok()) co_return std::move(more).error();
      if (!more.value()) co_return Error(ErrorCode::kUnavailable, "TLS handshake error: EOF");
    }
  }

  awaitable<Result<size_t>> Read(std::span<uint8_t> dst) override {
    for (;;) {
      ERR_clear_error();
      const int size = static_cast<int>(std::min<size_t>(dst.size(), 1 << 30));
      const int n = SSL_read(ssl_.get(), dst.data(), size);
      if (n > 0) co_return static_cast<size_t>(n);
      const int reason = SSL_get_error(ssl_.get(), n);
      if (reason == SSL_ERROR_ZERO_RETURN) co_return size_t{0};
      if (reason != SSL_ERROR_WANT_READ) {
        co_return Error(ErrorCode::kUnavailable, fmt::format("cannot read from {}: {}", remote_addr(), LastError()));
      }
      VM_CO_TRY(co_await Flush());  // Answers to messages of the protocol itself.
      auto more = co_await Fill();
      if (!more.ok()) co_return std::move(more).error();
      if (!more.value()) co_return size_t{0};
    }
  }

  awaitable<Status> Write(ByteView src) override {
    while (!src.empty()) {
      ERR_clear_error();
      const ByteView piece = src.first(std::min(src.size(), 4 * kPieceSize));
      const int n = SSL_write(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
      if (n <= 0) {
        co_return Error(ErrorCode::kUnavailable, fmt::format("cannot write to {}: {}", remote_addr(), LastError()));
      }
      src = src.subspan(static_cast<size_t>(n));
      VM_CO_TRY(co_await Flush());
    }
    co_return Ok();
  }

  void SetDeadline(const Deadline& deadline) override { stream_->SetDeadline(deadline); }
  void Close() override { stream_->Close(); }
  net::asio::any_io_executor executor() override { return stream_->executor(); }
  std::string remote_addr() const override { return stream_->remote_addr(); }
  std::string local_addr() const override { return stream_->local_addr(); }

 private:
  /// Carry bytes of the peer to OpenSSL; false at the end of the stream.
  awaitable<Result<bool>> Fill() {
    auto n = co_await stream_->Read(in_);
    if (!n.ok()) co_return std::move(n).error();
    if (n.value() == 0) co_return false;
    BIO_write(from_peer_, in_.data(), static_cast<int>(n.value()));
    co_return true;
  }

  /// Carry what OpenSSL has written to the peer. A reader and a writer may both come here: one at a time.
  awaitable<Status> Flush() {
    while (is_flushing_) {
      co_await flushed_.async_wait(net::asio::as_tuple(net::asio::use_awaitable));
    }
    struct Guard {
      TlsStream& stream;
      explicit Guard(TlsStream& s) : stream(s) { stream.is_flushing_ = true; }
      ~Guard() {
        stream.is_flushing_ = false;
        stream.flushed_.cancel();
      }
    } guard(*this);
    for (;;) {
      const size_t pending = BIO_ctrl_pending(to_peer_);
      if (pending == 0) co_return Ok();
      out_.resize(pending);
      const int n = BIO_read(to_peer_, out_.data(), static_cast<int>(pending));
      if (n <= 0) co_return Ok();
      out_.resize(static_cast<size_t>(n));
      VM_CO_TRY(co_await stream_->Write(out_));
    }
  }

  const std::unique_ptr<net::Stream> stream_;
  const ContextPtr context_;  // Keys in use stay until the connection ends.
  const SslPtr ssl_;
  BIO* from_peer_ = nullptr;  // Both belong to ssl_.
  BIO* to_peer_ = nullptr;
  std::array<uint8_t, kPieceSize> in_;
  ByteBuffer out_;
  bool is_flushing_ = false;
  net::asio::steady_timer flushed_;  // Cancelled to wake those who wait for their turn.
};

}  // namespace

struct TlsContext::Impl {
  /// A new context from the files.
  Result<ContextPtr> Load() const;
  ContextPtr Current() {
    MutexLock lock(mutex);
    return context;
  }

  bool is_server = false;
  TlsOptions options;
  Mutex mutex;
  ContextPtr context VM_GUARDED_BY(mutex);
  std::array<int64_t, 2> changed_at VM_GUARDED_BY(mutex) = {};  // Of the two files, in nanoseconds.
  std::chrono::steady_clock::time_point next_check VM_GUARDED_BY(mutex);
};

namespace {

std::array<int64_t, 2> ChangeTimes(const TlsOptions& options) {
  std::array<int64_t, 2> times = {};
  const std::string* files[] = {&options.cert_file, &options.key_file};
  for (size_t i = 0; i < times.size(); ++i) {
    struct stat info {};
    if (stat(files[i]->c_str(), &info) == 0) times[i] = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
  }
  return times;
}

}  // namespace

Result<ContextPtr> TlsContext::Impl::Load() const {
  ContextPtr made(SSL_CTX_new(TLS_server_method()), ContextDeleter());
  const auto fail = [](std::string what) {
    return Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", what, LastError()));
  };
  if (!made) return fail("cannot set up TLS");
  VM_ASSIGN_OR_RETURN(const int min_version, ParseMinVersion(options.min_version));
  SSL_CTX_set_min_proto_version(made.get(), min_version);
  SSL_CTX_set_mode(made.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(made.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  std::string ciphers;
  for (const std::string& name : options.cipher_suites) {
    const auto found = std::find_if(std::begin(kCipherNames), std::end(kCipherNames),
                                    [&](const auto& pair) { return pair.first == name; });
    if (found == std::end(kCipherNames)) {
      return Error(ErrorCode::kInvalidInput, fmt::format("unsupported TLS cipher suite: \"{}\"", name));
    }
    ciphers.append(ciphers.empty() ? "" : ":").append(found->second);
  }
  if (!ciphers.empty() && SSL_CTX_set_cipher_list(made.get(), ciphers.c_str()) != 1) return fail("bad cipher suites");
  if (SSL_CTX_use_certificate_chain_file(made.get(), options.cert_file.c_str()) != 1) {
    return fail(fmt::format("cannot load TLS certificate from \"{}\"", options.cert_file));
  }
  if (SSL_CTX_use_PrivateKey_file(made.get(), options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return fail(fmt::format("cannot load TLS key from \"{}\"", options.key_file));
  }
  if (SSL_CTX_check_private_key(made.get()) != 1) return fail("the TLS key does not belong to the certificate");
  return made;
}

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::ForServer(TlsOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->is_server = true;
  impl->options = std::move(options);
  VM_ASSIGN_OR_RETURN(ContextPtr loaded, impl->Load());
  {
    MutexLock lock(impl->mutex);
    impl->context = std::move(loaded);
    impl->changed_at = ChangeTimes(impl->options);
  }
  return std::make_shared<TlsContext>(std::move(impl));
}

std::shared_ptr<TlsContext> TlsContext::ForClient(bool verify) {
  auto impl = std::make_unique<Impl>();
  ContextPtr made(SSL_CTX_new(TLS_client_method()), ContextDeleter());
  SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION);
  SSL_CTX_set_default_verify_paths(made.get());
  if (verify) SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(made.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  {
    MutexLock lock(impl->mutex);
    impl->context = std::move(made);
  }
  return std::make_shared<TlsContext>(std::move(impl));
}

Status TlsContext::Refresh() {
  if (!impl_->is_server) return Ok();
  const auto now = std::chrono::steady_clock::now();
  {
    MutexLock lock(impl_->mutex);
    if (now < impl_->next_check) return Ok();
    impl_->next_check = now + std::chrono::seconds(1);
  }
  const auto times = ChangeTimes(impl_->options);
  {
    MutexLock lock(impl_->mutex);
    if (times == impl_->changed_at) return Ok();
    impl_->changed_at = times;
  }
  VM_ASSIGN_OR_RETURN(ContextPtr loaded, impl_->Load());
  MutexLock lock(impl_->mutex);
  impl_->context = std::move(loaded);
  return Ok();
}

awaitable<Result<std::unique_ptr<net::Stream>>> TlsContext::Accept(std::unique_ptr<net::Stream> stream) {
  ContextPtr context = impl_->Current();
  SslPtr ssl(SSL_new(context.get()));
  SSL_set_accept_state(ssl.get());
  auto tls = std::make_unique<TlsStream>(std::move(stream), std::move(context), std::move(ssl));
  VM_CO_TRY(co_await tls->Handshake());
  std::unique_ptr<net::Stream> result = std::move(tls);
  co_return std::move(result);
}

awaitable<Result<std::unique_ptr<net::Stream>>> TlsContext::Connect(std::unique_ptr<net::Stream> stream,
                                                                    std::string host) {
  ContextPtr context = impl_->Current();
  SslPtr ssl(SSL_new(context.get()));
  SSL_set_connect_state(ssl.get());
  SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  // An address is looked for among the addresses of the certificate, a name among its names.
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) != 1) {
    SSL_set1_host(ssl.get(), host.c_str());
  }
  auto tls = std::make_unique<TlsStream>(std::move(stream), std::move(context), std::move(ssl));
  VM_CO_TRY(co_await tls->Handshake());
  std::unique_ptr<net::Stream> result = std::move(tls);
  co_return std::move(result);
}

}  // namespace vm::http
