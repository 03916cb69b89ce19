#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/net/stream.h"

namespace vm::http {

/// -tlsCertFile, -tlsKeyFile, -tlsMinVersion, -tlsCipherSuites of one listener.
struct TlsOptions {
  std::string cert_file;
  std::string key_file;
  std::string min_version;                 // "TLS10" ... "TLS13"; empty: TLS12.
  std::vector<std::string> cipher_suites;  // Names as in Go; empty: the library's choice.
};

/// Keys and settings for TLS connections. Thread-safe.
class TlsContext {
 public:
  /// Reads the files. Errors: kInvalidInput naming what is wrong.
  static Result<std::shared_ptr<TlsContext>> ForServer(TlsOptions options);
  /// Trusts the authorities of the system; everybody without `verify`.
  static std::shared_ptr<TlsContext> ForClient(bool verify = true);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// Read the files again when they have changed, at most once a second; when they are broken the old
  /// keys stay. Touches the disk. Errors: as ForServer.
  Status Refresh();

  /// Shake hands over `stream` as a server. Set a deadline on `stream` before. Errors: kUnavailable, kInvalidInput.
  net::asio::awaitable<Result<std::unique_ptr<net::Stream>>> Accept(std::unique_ptr<net::Stream> stream);
  /// Shake hands as a client and check that the certificate is one of `host`.
  net::asio::awaitable<Result<std::unique_ptr<net::Stream>>> Connect(std::unique_ptr<net::Stream> stream,
                                                                     std::string host);

  struct Impl;
  explicit TlsContext(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace vm::http
