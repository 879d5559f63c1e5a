// Keys and values of what was read, and attention to them.
//
// How much memory has to be read for each token decides how fast a long text is. A key is scaled to eight bits: a
// score is a sum, in which such errors cancel out. A value has sixteen, like queries and chances: eight made the
// logits' error twice as large. Keys stand one behind the other; of values, two positions stand side by side, as the
// product that adds neighbours wants them, and sixteen of a head's numbers at a time.
#pragma once
#include "simd.h"

// Of products of two numbers up to MOST_VALUE, SPAN can be added in 32 bits.
enum { CHUNK = 16, SPAN = 32, MOST_HEAD = 128, MOST_LENGTH = 2048, MOST_KEY = 127, MOST_VALUE = 8191 };

typedef struct {
  int size, length;  // of a head; how many positions there are, a multiple of SPAN
  int8_t *keys;
  int16_t *values;
  float *key_scales, *value_scales;
} Head;

INLINE int16_t *value_at(const Head *head, int position, int i) {
  return head->values + (i / CHUNK * head->length + (position & ~1)) * CHUNK + i % CHUNK * 2 + (position & 1);
}

static void put_key(const Head *head, int position, const float *x) {
  int16_t row[MOST_HEAD];
  head->key_scales[position] = scale_to(MOST_KEY, x, head->size, row);
  for (int i = 0; i < head->size; i++) head->keys[position * head->size + i] = row[i];
}

static void put_value(const Head *head, int position, const float *x) {
  int16_t row[MOST_HEAD];
  head->value_scales[position] = scale_to(MOST_VALUE, x, head->size, row);
  for (int i = 0; i < head->size; i++) *value_at(head, position, i) = row[i];
}

static void move_position(const Head *head, int from, int to) {
  for (int i = 0; i < head->size; i++) {
    head->keys[to * head->size + i] = head->keys[from * head->size + i];
    *value_at(head, to, i) = *value_at(head, from, i);
  }
  head->key_scales[to] = head->key_scales[from];
  head->value_scales[to] = head->value_scales[from];
}

// The dots of a query with four keys.
INLINE vec four_dots(const int16_t *query, const int8_t *key, int size) {
  vec a = wasm_i32x4_splat(0), b = a, c = a, d = a;
  for (int i = 0; i < size; i += 8, key += 8) {
    vec q = wasm_v128_load(query + i);
    a = wasm_i32x4_add(a, wasm_i32x4_dot_i16x8(q, wasm_i16x8_load8x8(key)));
    b = wasm_i32x4_add(b, wasm_i32x4_dot_i16x8(q, wasm_i16x8_load8x8(key + size)));
    c = wasm_i32x4_add(c, wasm_i32x4_dot_i16x8(q, wasm_i16x8_load8x8(key + 2 * size)));
    d = wasm_i32x4_add(d, wasm_i32x4_dot_i16x8(q, wasm_i16x8_load8x8(key + 3 * size)));
  }
  vec ab = wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), wasm_i32x4_shuffle(a, b, 2, 6, 3, 7));
  vec cd = wasm_i32x4_add(wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), wasm_i32x4_shuffle(c, d, 2, 6, 3, 7));
  return wasm_f32x4_convert_i32x4(wasm_i32x4_add(wasm_i64x2_shuffle(ab, cd, 0, 2), wasm_i64x2_shuffle(ab, cd, 1, 3)));
}

// How well a query fits the keys from `start` to `stop`. They are looked at in fours: what is written behind `stop`
// means nothing.
static void score(const Head *head, const float *query, int start, int stop, float *scores) {
  int16_t rounded[MOST_HEAD];
  vec by = wasm_f32x4_splat(scale_to(32767, query, head->size, rounded) / __builtin_sqrtf(head->size));
  for (int i = start & ~3; i < stop; i += 4) {
    vec dots = four_dots(rounded, head->keys + i * head->size, head->size);
    vec fits = wasm_f32x4_mul(wasm_f32x4_mul(dots, by), wasm_v128_load(head->key_scales + i));
    if (i < start) {
      vec before = wasm_i32x4_lt(wasm_i32x4_make(i, i + 1, i + 2, i + 3), wasm_i32x4_splat(start));
      fits = wasm_v128_bitselect(wasm_v128_load(scores + i), fits, before);
    }
    wasm_v128_store(scores + i, fits);
  }
}

// Turns the scores of `count` positions, a multiple of four, into chances of which the largest is 1; those behind
// `own` have none. Returns their sum.
static float softmax(float *scores, int count, int own) {
  for (int i = own + 1; i < count; i++) scores[i] = -3e38f;
  vec most = wasm_f32x4_splat(-3e38f), sum = wasm_f32x4_splat(0);
  for (int i = 0; i < count; i += 4) most = wasm_f32x4_pmax(most, wasm_v128_load(scores + i));
  most = wasm_f32x4_splat(largest_of(most));
  for (int i = 0; i < count; i += 4) {
    vec chance = exponential(wasm_f32x4_sub(wasm_v128_load(scores + i), most));
    wasm_v128_store(scores + i, chance);
    sum = wasm_f32x4_add(sum, chance);
  }
  for (int i = own + 1; i < count; i++) scores[i] = 0;
  return sum_of(sum);
}

// Weighs the values of `positions`, a multiple of SPAN, by their chances times `share`, and adds them up.
static void add_values(const Head *head, int positions, const float *chances, float share, float *out) {
  static int16_t weights[MOST_LENGTH];
  static float scales[MOST_LENGTH / SPAN];
  for (int start = 0; start < positions; start += SPAN) {
    float row[SPAN];
    for (int i = start; i < start + SPAN; i += 4) {
      vec scale = wasm_v128_load(head->value_scales + i);
      wasm_v128_store(row + i - start, wasm_f32x4_mul(wasm_v128_load(chances + i), scale));
    }
    scales[start / SPAN] = scale_to(MOST_VALUE, row, SPAN, weights + start) * share;
  }
  for (int i = 0; i < head->size; i += CHUNK) {
    const int16_t *weight = weights, *value = value_at(head, 0, i);
    vec sums[4] = {wasm_f32x4_splat(0), wasm_f32x4_splat(0), wasm_f32x4_splat(0), wasm_f32x4_splat(0)};
    for (int span = 0; span < positions / SPAN; span++) {
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
