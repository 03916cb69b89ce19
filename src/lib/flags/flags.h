#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/result.h"

namespace vm::flags {

/// A secret given as text, or as `file:///path` or `file://./path`: then the file is read again when it is used, at most
/// every 2 s, without white space at its end. Thread-safe.
class Password {
 public:
  /// Errors: kInvalidInput for `http://` and `https://`, which are not supported.
  Status Set(std::string_view text);
  /// The secret. While its file cannot be read it is a random text that nobody can guess.
  std::string Get() const;

 private:
  std::string text_;
  std::string path_;  // Empty: text_ is the secret.
  mutable Mutex mutex_;
  mutable std::string from_file_ VM_GUARDED_BY(mutex_);
  mutable std::chrono::steady_clock::time_point read_again_at_ VM_GUARDED_BY(mutex_);
};

/// Item `i` of a per-listener array: a single item holds for all, a missing one is `fallback`.
template <class T>
T ItemOr(const std::vector<T>& items, size_t i, T fallback) {
  if (items.size() == 1) return items[0];
  return i < items.size() ? items[i] : std::move(fallback);
}

/// A flag by name only.
struct KnownFlag {
  std::string_view name;
  bool is_bool;
};

/// Command-line flags in Go syntax: -name=value, --name value, -bool. Define everything, then parse
/// once. The pointers returned live as long as the set and hold the default until Parse. Not
/// thread-safe while parsing; read-only afterwards. A flag may be defined twice: all its readers get the value.
class FlagSet {
 public:
  FlagSet();
  ~FlagSet();
  FlagSet(const FlagSet&) = delete;
  FlagSet& operator=(const FlagSet&) = delete;

  const std::string* String(std::string name, std::string value, std::string description);
  const bool* Bool(std::string name, bool value, std::string description);
  const int64_t* Int(std::string name, int64_t value, std::string description);
  const double* Float(std::string name, double value, std::string description);
  /// Go durations: 1h30m, 1.5s, 0.
  const std::chrono::nanoseconds* Duration(std::string name, std::chrono::nanoseconds value,
                                           std::string description);
  /// 64MiB, 10KB, 512.
  const int64_t* Bytes(std::string name, int64_t value, std::string description);
  /// Milliseconds of -retentionPeriod syntax: 1d, 2w, 1y; a number alone counts months.
  const int64_t* Retention(std::string name, std::string value, std::string description);
  /// Comma separated and repeatable; quotes and brackets protect commas.
  const std::vector<std::string>* Array(std::string name, std::string description);
  /// The same with bool items; an empty item is false, the name alone is true.
  const std::vector<bool>* BoolArray(std::string name, std::string description);
  const Password* Secret(std::string name, std::string description);

  /// Take and ignore those of `known` that are not defined.
  void AcceptUndefined(std::span<const KnownFlag> known);

  /// Parse arguments without the program name. Errors: kInvalidInput with the text Go prints.
  /// Environment placeholders %{NAME} are expanded; -envflag.enable reads the rest from the environment.
  Status Parse(const std::vector<std::string>& args);

  bool IsSet(std::string_view name) const;
  /// True after -h or -help.
  bool help_requested() const noexcept { return help_requested_; }
  /// Text of -help.
  std::string Usage() const;
  /// Name and value of each flag set by the user, secrets hidden, sorted by name.
  std::vector<std::pair<std::string, std::string>> SetFlags() const;
  struct Info {
    std::string name, value;
    bool is_set = false;
  };
  /// All flags, secrets hidden, sorted by name.
  std::vector<Info> AllFlags() const;

 private:
  struct Flag;
  template <class T>
  const T* Define(std::string name, std::shared_ptr<T> value, std::string description, std::string default_text,
                  std::function<bool(std::string_view, T&)> parse, bool is_bool = false,
                  bool is_array = false);
  Status SetFlag(Flag& flag, std::string_view value);
  bool IsSecret(std::string_view name) const;

  std::map<std::string, std::unique_ptr<Flag>, std::less<>> flags_;
  bool help_requested_ = false;
};

/// Replace %{NAME} by the environment variable, also inside of its value. Unknown names stay.
std::string ExpandPlaceholders(std::string_view text);

Result<std::chrono::nanoseconds> ParseGoDuration(std::string_view text);
Result<int64_t> ParseBytes(std::string_view text);
/// Milliseconds.
Result<int64_t> ParseRetention(std::string_view text);
/// Split one value of an array flag.
std::vector<std::string> SplitArray(std::string_view text);

}  // namespace vm::flags
