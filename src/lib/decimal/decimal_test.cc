#include "lib/decimal/decimal.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

namespace vm::decimal {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

void ExpectDecimal(double f, int64_t mantissa, int exponent) {
  SCOPED_TRACE(f);
  const Decimal d = FromFloat(f);
  EXPECT_EQ(d.mantissa, mantissa);
  EXPECT_EQ(d.exponent, exponent);
}

// If this breaks, the same sample gives other bytes than the original writes.
TEST(DecimalTest, ConvertsToTheKnownMantissas) {
  ExpectDecimal(0.1, 1, -1);
  ExpectDecimal(0.30000000000000004, 3, -1);
  ExpectDecimal(1.0 / 3, 333333333333, -12);
  ExpectDecimal(M_PI, 3141592653589, -12);
  ExpectDecimal(1e-6, 10, -7);
  ExpectDecimal(1.5e-7, 15, -8);
  ExpectDecimal(1e6, 1, 6);
  ExpectDecimal(1000001.5, 10000015, -1);
  ExpectDecimal(123456789.123456789, 12345678912345678, -8);
  ExpectDecimal(1.23e18, 123, 16);
  ExpectDecimal(-1200, -12, 2);
  ExpectDecimal(9007199254740994.0, 9007199254740994, 0);
  ExpectDecimal(36028797018963968.0, 3602879701896396, 1);
  ExpectDecimal(18446744073709551616.0, 18446744073709548, 3);
  ExpectDecimal(12345678901234567890.0, 12345678901234567, 3);
  ExpectDecimal(1.7976931348623157e308, 1797693134862315, 293);
  ExpectDecimal(5e-324, 494065645841, -335);
  ExpectDecimal(2.2250738585072014e-308, 22250738585072, -321);
}

void ExpectBlock(const std::vector<double>& values, const std::vector<int64_t>& mantissas, int scale) {
  std::vector<int64_t> got;
  EXPECT_EQ(AppendFloatsToDecimals(got, values), scale);
  EXPECT_EQ(got, mantissas);
}

TEST(DecimalTest, GivesABlockOneExponent) {
  ExpectBlock({1.5, StaleNaN(), 100, 0.001, kInf}, {1500, kStaleNaNMantissa, 100000, 1, kInfPos}, -3);
  ExpectBlock({1.5, -2.25, 1000, 0.001}, {1500, -2250, 1000000, 1}, -3);
  ExpectBlock({1e18, 1.5, 3e-5}, {1000000000000000000, 1, 0}, 0);
  ExpectBlock({-kInf}, {kInfNeg}, -1024);
  ExpectBlock({kInf, StaleNaN()}, {kInfPos, kStaleNaNMantissa}, -1024);
}

TEST(DecimalTest, KeepsTheBitsOfTheStalenessMarker) {
  std::vector<double> back;
  const int64_t mantissas[] = {kStaleNaNMantissa, 5};
  AppendDecimalsToFloats(back, mantissas, -1);
  EXPECT_EQ(std::bit_cast<uint64_t>(back[0]), kStaleNaNBits);
  EXPECT_EQ(back[1], 0.5);
}

double Number(const nlohmann::json& j) {
  if (j.is_number()) return j.get<double>();
  const std::string s = j;
  if (s == "StaleNaN") return StaleNaN();
  if (s == "NaN") return std::nan("");
  if (s == "Inf" || s == "+Inf" || s == "Infinity") return kInf;
  if (s == "-Inf" || s == "-Infinity") return -kInf;
  return std::stod(s);
}

std::vector<double> Numbers(const nlohmann::json& list) {
  std::vector<double> out;
  for (const auto& j : list) out.push_back(Number(j));
  return out;
}

void ExpectSameBits(const std::vector<double>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i])) {
      EXPECT_TRUE(std::isnan(got[i])) << i;
    } else {
      EXPECT_EQ(got[i], want[i]) << i;
    }
  }
}

// Small mantissas are converted by other instructions, many at a time.
TEST(DecimalTest, ConvertsArraysAsSingleValues) {
  constexpr int64_t kHalf = int64_t{1} << 50;
  const std::vector<std::vector<int64_t>> arrays = {
      {0, 0, 0},
      {1, -1, 12345, 0, kHalf - 1, -kHalf},
      {1, 2, 3, kHalf},
      {-kHalf - 1, 5},
      {2 * kHalf, -2 * kHalf, 3},
      {INT64_MAX / 2, INT64_MIN / 2, 7},
      {1, kStaleNaNMantissa, 2},
      {kInfPos, kInfNeg, -3},
  };
  for (const auto& mantissas : arrays) {
    for (const int16_t exponent : {-300, -17, -2, -1, 0, 1, 3, 20, 290}) {
      std::vector<double> got = {1};
      AppendDecimalsToFloats(got, mantissas, exponent);
      ASSERT_EQ(got.size(), mantissas.size() + 1);
      for (size_t i = 0; i < mantissas.size(); ++i) {
        EXPECT_EQ(std::bit_cast<uint64_t>(got[i + 1]), std::bit_cast<uint64_t>(ToFloat(mantissas[i], exponent)))
            << mantissas[i] << "e" << exponent;
      }
    }
  }
}

TEST(DecimalTest, AgreesWithTheRecordedCases) {
  std::ifstream in(std::string(VM_SHARED_DIR) + "/conformance/encoding.jsonl");
  if (!in) GTEST_SKIP() << "no ../shared/conformance beside this checkout";
  std::map<std::string, int> seen;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    const auto c = nlohmann::json::parse(line);
    const std::string kind = c["kind"];
    SCOPED_TRACE(line.substr(0, 400));
    ++seen[kind];
    if (kind == "float_to_decimal" || kind == "positive_float_to_decimal") {
      const auto& want = c["expected"];
      // Zero never reaches the reference's helper for positive numbers; FromFloat answers it first.
      if (kind == "positive_float_to_decimal" && Number(c["input"]) == 0) continue;
      ExpectDecimal(Number(c["input"]), want.contains("v") ? want["v"] : want["decimal"],
                    want.contains("e") ? want["e"] : want["exponent"]);
    } else if (kind == "floats_to_decimals") {
      std::vector<int64_t> got;
      const int16_t scale = AppendFloatsToDecimals(got, Numbers(c["input"]));
      EXPECT_EQ(got, c["expected"]["decimals"].get<std::vector<int64_t>>());
      EXPECT_EQ(scale, c["expected"]["exponent"].get<int>());
    } else if (kind == "decimals_to_floats") {
      std::vector<double> got;
      AppendDecimalsToFloats(got, c["input"]["decimals"].get<std::vector<int64_t>>(),
                             c["input"]["exponent"]);
      ExpectSameBits(got, Numbers(c["expected"]));
    } else if (kind == "float_decimal_roundtrip") {
      const Decimal d = FromFloat(Number(c["value"]));
      EXPECT_EQ(d.mantissa, c["decimal"].get<int64_t>());
      EXPECT_EQ(d.exponent, c["exponent"].get<int>());
      ExpectSameBits({ToFloat(d.mantissa, d.exponent)}, {Number(c["back"])});
    } else if (kind == "calibrate_scale") {
      for (const bool swapped : {false, true}) {
        auto a = c["input"]["a"].get<std::vector<int64_t>>();
        auto b = c["input"]["b"].get<std::vector<int64_t>>();
        const int16_t ae = c["input"]["ae"], be = c["input"]["be"];
        const int16_t e = swapped ? CalibrateScale(b, be, a, ae) : CalibrateScale(a, ae, b, be);
        EXPECT_EQ(e, c["expected"]["e"].get<int>());
        EXPECT_EQ(a, c["expected"]["a"].get<std::vector<int64_t>>());
        EXPECT_EQ(b, c["expected"]["b"].get<std::vector<int64_t>>());
      }
    } else if (kind == "round_to_decimal_digits") {
      ExpectSameBits({RoundToDecimalDigits(Number(c["input"]["f"]), c["input"]["digits"])}, {Number(c["expected"])});
    } else if (kind == "round_to_significant_figures") {
      ExpectSameBits({RoundToSignificantFigures(Number(c["input"]["f"]), c["input"]["digits"])},
                     {Number(c["expected"])});
    } else if (kind == "max_up_exponent") {
      EXPECT_EQ(MaxUpExponent(c["input"]), c["expected"].get<int>());
    }
  }
  EXPECT_GT(seen["float_to_decimal"], 0);
  EXPECT_GT(seen["calibrate_scale"], 0);
}

}  // namespace
}  // namespace vm::decimal
