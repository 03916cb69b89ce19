#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace vm::select {

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kTextType = "text/plain; charset=utf-8";
inline constexpr std::string_view kJsonStreamType = "application/stream+json; charset=utf-8";

/// What an endpoint answers. Status 0: the body has been sent already.
struct Answer {
  int status = 200;
  std::string content_type{kJsonType};
  std::string body;
  std::string error;  // For the log; empty on success.
  bool is_cancelled = false;  // Nobody waits for the answer: no fault of anyone.
};

inline Answer JsonAnswer(std::string body) { return {200, std::string(kJsonType), std::move(body), {}, false}; }
inline Answer SentAnswer() { return {0, {}, {}, {}, false}; }

/// 503 when storage nodes are missing, else `otherwise`.
int StatusOf(const Error& error, int otherwise);

/// The error form of the Prometheus API.
Answer PrometheusError(int status, std::string message);
/// 422, or 503 when storage nodes are missing.
Answer PrometheusError(const Error& error);
/// Plain text with a line end.
Answer PlainError(int status, std::string message);
/// 400, or 503 when storage nodes are missing.
Answer PlainError(const Error& error);

}  // namespace vm::select
