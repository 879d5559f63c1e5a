// Keys and values of what was read, in sixteen bits, and attention to them.
//
// A key or value of a head is scaled to at most MOST: of products of two such numbers 32 can be added in 32 bits.
// That is as exact as half precision, and integers multiply twice as fast as what is in single precision. Keys
// stand one behind the other; of values, two positions stand side by side, as the product that adds neighbours
// wants them, and sixteen of a head's numbers at a time.
#pragma once
#include "simd.h"

#define NEGLIGIBLE 1e-7f

enum { MOST = 8191, CHUNK = 16, SPAN = 32, MAX_HEAD = 128, MOST_LENGTH = 2048 };

typedef struct {
  int size, length;  // of a head; how many positions there are, a multiple of SPAN
  int16_t *keys, *values;
  float *key_scales, *value_scales;
} Head;

static float scaled(const float *x, int size, int16_t *to) {
  vec most = wasm_f32x4_splat(0);
  for (int i = 0; i < size; i += 4) most = wasm_f32x4_pmax(most, wasm_f32x4_abs(wasm_v128_load(x + i)));
  float largest = largest_of(most);
  vec by = wasm_f32x4_splat(largest > 0 ? MOST / largest : 0);
  for (int i = 0; i < size; i += 8) {
    vec low = wasm_f32x4_nearest(wasm_f32x4_mul(wasm_v128_load(x + i), by));
    vec high = wasm_f32x4_nearest(wasm_f32x4_mul(wasm_v128_load(x + i + 4), by));
    low = wasm_i32x4_trunc_sat_f32x4(low), high = wasm_i32x4_trunc_sat_f32x4(high);
    wasm_v128_store(to + i, wasm_i16x8_narrow_i32x4(low, high));
  }
  return largest / MOST;
}

INLINE int16_t *value_at(const Head *head, int position, int i) {
  return head->values + (i / CHUNK * head->length + (position & ~1)) * CHUNK + i % CHUNK * 2 + (position & 1);
}

static void put_key(const Head *head, int position, const float *x) {
  head->key_scales[position] = scaled(x, head->size, head->keys + position * head->size);
}

static void put_value(const Head *head, int position, const float *x) {
  int16_t row[MAX_HEAD];
  head->value_scales[position] = scaled(x, head->size, row);
  for (int i = 0; i < head->size; i++) *value_at(head, position, i) = row[i];
}

// The dots of a query with four keys.
INLINE vec four_dots(const int16_t *query, const int16_t *key, int size) {
  vec a = wasm_i32x4_splat(0), b = a, c = a, d = a;
  for (int i = 0; i < size; i += 8) {
    vec q = wasm_v128_load(query + i);
    a = wasm_i32x4_add(a, wasm_i32x4_dot_i16x8(q, wasm_v128_load(key + i)));
    b = wasm_i32x4_add(b, wasm_i32x4_dot_i16x8(q, wasm_v128_load(key + size + i)));
    c = wasm_i32x4_add(c, wasm_i32x4_dot_i16x8(q, wasm_v128_load(key + 2 * size + i)));
    d = wasm_i32x4_add(d, wasm_i32x4_dot_i16x8(q, wasm_v128_load(key + 3 * size + i)));
  }
  a = wasm_f32x4_convert_i32x4(a), b = wasm_f32x4_convert_i32x4(b);
  c = wasm_f32x4_convert_i32x4(c), d = wasm_f32x4_convert_i32x4(d);
  vec ab = wasm_f32x4_add(wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), wasm_i32x4_shuffle(a, b, 2, 6, 3, 7));
  vec cd = wasm_f32x4_add(wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), wasm_i32x4_shuffle(c, d, 2, 6, 3, 7));
  return wasm_f32x4_add(wasm_i64x2_shuffle(ab, cd, 0, 2), wasm_i64x2_shuffle(ab, cd, 1, 3));
}

// Weighs the values of `spans` times SPAN positions by their chances, of which the largest is 1, and adds them up.
// Where no chance of a span matters, its values are not even looked at: that spares much of what has to be read
// from memory, because most heads of a trained model look at few places.
static void add_values(const Head *head, int spans, const float *chances, float *out) {
  static int16_t weights[MOST_LENGTH];
  static float scales[MOST_LENGTH / SPAN];
  static int starts[MOST_LENGTH / SPAN];
  int count = 0;
  for (int start = 0; start < spans * SPAN; start += SPAN) {
    float row[SPAN];
    vec most = wasm_f32x4_splat(0);
    for (int i = 0; i < SPAN; i += 4) {
      vec chance = wasm_v128_load(chances + start + i);
      most = wasm_f32x4_pmax(most, chance);
      wasm_v128_store(row + i, wasm_f32x4_mul(chance, wasm_v128_load(head->value_scales + start + i)));
    }
    if (largest_of(most) < NEGLIGIBLE) continue;
    starts[count] = start;
    scales[count] = scaled(row, SPAN, weights + count * SPAN);
    count++;
  }
  for (int i = 0; i < head->size; i += CHUNK) {
    const int16_t *weight = weights;
    vec sums[4] = {wasm_f32x4_splat(0), wasm_f32x4_splat(0), wasm_f32x4_splat(0), wasm_f32x4_splat(0)};
    for (int span = 0; span < count; span++) {
      const int16_t *value = value_at(head, starts[span], i);
      vec parts[4] = {wasm_i32x4_splat(0), wasm_i32x4_splat(0), wasm_i32x4_splat(0), wasm_i32x4_splat(0)};
#pragma unroll
      for (int pair = 0; pair < SPAN / 2; pair++, weight += 2, value += 2 * CHUNK) {
        vec both = wasm_v128_load32_splat(weight);
#pragma unroll
        for (int n = 0; n < 4; n++)
          parts[n] = wasm_i32x4_add(parts[n], wasm_i32x4_dot_i16x8(both, wasm_v128_load(value + 8 * n)));
      }
      vec scale = wasm_v128_load32_splat(scales + span);
#pragma unroll
      for (int n = 0; n < 4; n++)
        sums[n] = wasm_f32x4_add(sums[n], wasm_f32x4_mul(wasm_f32x4_convert_i32x4(parts[n]), scale));
    }
    for (int n = 0; n < 4; n++) wasm_v128_store(out + i + 4 * n, sums[n]);
  }
}

// What a query finds at the positions up to its own. `scores` has room for the head's length.
static void attend(const Head *head, const float *query, int position, float *scores, float *out) {
  int16_t rounded[MAX_HEAD];
  float scale = scaled(query, head->size, rounded) / __builtin_sqrtf(head->size);
  int spans = position / SPAN + 1;
  vec by = wasm_f32x4_splat(scale), most = wasm_f32x4_splat(-3e38f), sum = wasm_f32x4_splat(0);
  vec places = wasm_i32x4_make(0, 1, 2, 3), own = wasm_i32x4_splat(position);
  for (int i = 0; i < spans * SPAN; i += 4) {
    vec dots = four_dots(rounded, head->keys + i * head->size, head->size);
    vec score = wasm_f32x4_mul(wasm_f32x4_mul(dots, by), wasm_v128_load(head->key_scales + i));
    vec later = wasm_i32x4_gt(wasm_i32x4_add(places, wasm_i32x4_splat(i)), own);
    score = wasm_v128_bitselect(wasm_f32x4_splat(-3e38f), score, later);
    wasm_v128_store(scores + i, score);
    most = wasm_f32x4_pmax(most, score);
  }
  most = wasm_f32x4_splat(largest_of(most));
  for (int i = 0; i < spans * SPAN; i += 4) {
    vec score = wasm_v128_load(scores + i);
    vec later = wasm_i32x4_gt(wasm_i32x4_add(places, wasm_i32x4_splat(i)), own);
    vec chance = wasm_v128_andnot(exponential(wasm_f32x4_sub(score, most)), later);
    wasm_v128_store(scores + i, chance);
    sum = wasm_f32x4_add(sum, chance);
  }
  add_values(head, spans, scores, out);
  vec share = wasm_f32x4_splat(1 / sum_of(sum));
  for (int i = 0; i < head->size; i += 4)
    wasm_v128_store(out + i, wasm_f32x4_mul(wasm_v128_load(out + i), share));
}
