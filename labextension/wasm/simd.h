// Numbers: vectors of 128 bits, half precision, the exponential function. There is no C library.
#pragma once
#include <stdint.h>
#include <wasm_simd128.h>

#define INLINE static inline __attribute__((always_inline))

typedef v128_t vec;

INLINE float sum_of(vec v) {
  v = wasm_f32x4_add(v, wasm_i32x4_shuffle(v, v, 2, 3, 0, 1));
  return wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 1);
}

INLINE float largest_of(vec v) {
  v = wasm_f32x4_pmax(v, wasm_i32x4_shuffle(v, v, 2, 3, 0, 1));
  v = wasm_f32x4_pmax(v, wasm_i32x4_shuffle(v, v, 1, 0, 3, 2));
  return wasm_f32x4_extract_lane(v, 0);
}

INLINE uint32_t bits_of(float x) {
  return __builtin_bit_cast(uint32_t, x);
}

INLINE int is_finite(float x) {
  return (bits_of(x) & 0x7f800000) != 0x7f800000;
}

static float from_half(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff;
  float size = rest < 0x400    ? (float)rest * 0x1p-24f
               : rest < 0x7c00 ? __builtin_bit_cast(float, (rest << 13) + 0x38000000)
                               : __builtin_bit_cast(float, (rest << 13) | 0x7f800000);
  return __builtin_bit_cast(float, bits_of(size) | sign);
}

// What is left of a number that is not negative in half precision, which has scales in llama.cpp.
INLINE float rounded_to_half(float x) {
  if (x < 0x1p-14f) return (x + 0.5f) - 0.5f;
  uint32_t bits = bits_of(x);
  return __builtin_bit_cast(float, (bits + 0xfff + ((bits >> 13) & 1)) & ~0x1fffu);
}

// e^x, to 2e-7: 2^n times a polynomial of what is left.
INLINE vec exponential(vec x) {
  x = wasm_f32x4_pmax(wasm_f32x4_splat(-87), wasm_f32x4_pmin(wasm_f32x4_splat(88), x));
  vec n = wasm_f32x4_nearest(wasm_f32x4_mul(x, wasm_f32x4_splat(1.44269504f)));
  vec r = wasm_f32x4_sub(x, wasm_f32x4_mul(n, wasm_f32x4_splat(0.693359375f)));
  r = wasm_f32x4_add(r, wasm_f32x4_mul(n, wasm_f32x4_splat(2.12194440e-4f)));
  vec y = wasm_f32x4_splat(1.0f / 5040);
  static const float terms[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1, 1};
#pragma unroll
  for (int i = 0; i < 7; i++) y = wasm_f32x4_add(wasm_f32x4_mul(y, r), wasm_f32x4_splat(terms[i]));
  vec power = wasm_i32x4_shl(wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(n), wasm_i32x4_splat(127)), 23);
  return wasm_f32x4_mul(y, power);
}

// Rounds a vector to whole numbers up to `most`; returns what they are to be multiplied with.
static float scale_to(float most, const float *x, int size, int16_t *to) {
  vec peak = wasm_f32x4_splat(0);
  for (int i = 0; i < size; i += 4) peak = wasm_f32x4_pmax(peak, wasm_f32x4_abs(wasm_v128_load(x + i)));
  float largest = largest_of(peak);
  vec by = wasm_f32x4_splat(largest > 0 ? most / largest : 0);
  for (int i = 0; i < size; i += 8) {
    vec low = wasm_f32x4_nearest(wasm_f32x4_mul(wasm_v128_load(x + i), by));
    vec high = wasm_f32x4_nearest(wasm_f32x4_mul(wasm_v128_load(x + i + 4), by));
    low = wasm_i32x4_trunc_sat_f32x4(low), high = wasm_i32x4_trunc_sat_f32x4(high);
    wasm_v128_store(to + i, wasm_i16x8_narrow_i32x4(low, high));
  }
  return largest / most;
}
