#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace vm::http {

/// A gzip stream at level 1, fed in pieces. Not thread-safe.
class GzipCompressor {
 public:
  GzipCompressor();
  ~GzipCompressor();
  GzipCompressor(const GzipCompressor&) = delete;
  GzipCompressor& operator=(const GzipCompressor&) = delete;

  /// Append to `dst` what `chunk` gives so far; everything and the trailer when it is the `last` one.
  void Append(std::string& dst, std::string_view chunk, bool last);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The gzip form of `text`.
std::string Gzip(std::string_view text);

}  // namespace vm::http
