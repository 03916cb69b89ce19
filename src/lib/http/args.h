#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm::http {

/// Decoded arguments in the order they were sent; the first one of a name wins. Not thread-safe.
class Args {
 public:
  /// Value of the first argument `name`, or "".
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const;
  std::vector<std::string_view> GetAll(std::string_view name) const;
  void Add(std::string name, std::string value);
  /// Put `other` in front.
  void Prepend(Args other);
  const std::vector<std::pair<std::string, std::string>>& all() const noexcept { return items_; }

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

/// Decode `a=b&c=%20`. Lenient as clients need: raw brackets and quotes pass, `+` is a blank, and a
/// pair with a broken escape or a `;` is dropped.
Args ParseQuery(std::string_view query);
/// Decode %XX, and `+` when `plus_is_blank`; nothing for a broken escape.
std::optional<std::string> Unescape(std::string_view text, bool plus_is_blank);
/// Encode for use as a query value.
std::string EscapeQuery(std::string_view text);

/// Standard base64 with padding. Decoding: nothing for a text that is none.
std::string EncodeBase64(std::string_view text);
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace vm::http
