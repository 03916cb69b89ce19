#include "select/http/answer.h"

#include "select/format/json.h"

namespace vm::select {

int StatusOf(const Error& error, int otherwise) {
  return error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kCancelled ? 503 : otherwise;
}

Answer PrometheusError(int status, std::string message) {
  std::string body = ErrorResponse(status, message);
  return {status, std::string(kJsonType), std::move(body), std::move(message), false};
}

Answer PrometheusError(const Error& error) {
  Answer answer = PrometheusError(StatusOf(error, 422), error.message());
  answer.is_cancelled = error.code() == ErrorCode::kCancelled;
  return answer;
}

Answer PlainError(int status, std::string message) {
  return {status, std::string(kTextType), message + "\n", std::move(message), false};
}

Answer PlainError(const Error& error) {
  Answer answer = PlainError(StatusOf(error, 400), error.message());
  answer.is_cancelled = error.code() == ErrorCode::kCancelled;
  return answer;
}

}  // namespace vm::select
