#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lib/base/result.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "lib/relabel/relabel.h"
#include "lib/sys/sys.h"

namespace vm::insert {

/// Contents of a file, or of what is at an http or https URL. Waits; for the main thread only. Errors: kIo, kUnavailable.
Result<std::string> ReadFileOrUrl(net::Runtime& runtime, const std::string& path);

/// Keeps the rules of -relabelConfig up to date. One thread at a time.
class RelabelConfig {
 public:
  using Read = std::function<Result<std::string>(const std::string& path)>;
  using Sink = std::function<void(std::shared_ptr<const relabel::Rules>)>;

  /// `sink` is given each new version. `clock` and `registry` must outlive this.
  RelabelConfig(std::string path, Read read, const sys::Clock& clock, metrics::Registry& registry, Sink sink);

  /// The first version. Errors: kInvalidInput, for a file that cannot be read too.
  Status Load();
  /// Read again; errors are logged, counted and leave the old rules. `is_asked_for`: by a signal, so that it is counted and logged even
  /// when nothing has changed.
  void Reload(bool is_asked_for);

 private:
  Result<std::shared_ptr<const relabel::Rules>> ReadRules() const;
  void Use(std::shared_ptr<const relabel::Rules> rules);

  const std::string path_;
  const Read read_;
  const sys::Clock& clock_;
  const Sink sink_;
  std::string text_;  // Of the rules in use.
  metrics::Counter& reloads_;
  metrics::Counter& errors_;
  metrics::Gauge& is_successful_;
  metrics::Counter& success_time_;
};

}  // namespace vm::insert
