// Keys and values of what was read, and attention to them.
//
// How much memory has to be read for each token decides how fast a long text is. So keys and values have sixteen bits,
// in two halves: the coarse half is read of every position, the fine one only where much of a head's attention goes,
// which at most 1 / MUCH positions can have. The others together add less than a share of sqrt(MUCH) to the error that
// eight bits would make. Keys stand one behind the other; of values, two positions stand side by side, as the product
// that adds neighbours wants them, and sixteen of a head's numbers at a time.
#pragma once
#include "simd.h"

#define MUCH (1.0f / 512)
#define NEGLIGIBLE 0x1p-17f

enum { CHUNK = 16, SPAN = 32, MOST_HEAD = 128, MOST_LENGTH = 2048, HALVES = 127 * 256 };

typedef struct {
  int size, length;  // of a head; how many positions there are, a multiple of SPAN
  int8_t *keys, *values, *fine_keys, *fine_values;
  float *key_scales, *value_scales;
} Head;

typedef struct {
  int16_t numbers[MOST_HEAD];
  float scale;
} Query;

INLINE int8_t *value_at(const Head *head, int position, int i) {
  return head->values + (i / CHUNK * head->length + (position & ~1)) * CHUNK + i % CHUNK * 2 + (position & 1);
}

INLINE int coarse_half(int x) {
  return (x + 128) >> 8;
}

static void put_key(const Head *head, int position, const float *x) {
  int16_t row[MOST_HEAD];
  int8_t *key = head->keys + position * head->size, *fine = head->fine_keys + position * head->size;
  head->key_scales[position] = scale_to(HALVES, x, head->size, row) * 256;
  for (int i = 0; i < head->size; i++) {
    key[i] = coarse_half(row[i]);
    fine[i] = row[i] - key[i] * 256;
  }
}

static void put_value(const Head *head, int position, const float *x) {
  int16_t row[MOST_HEAD];
  int8_t *fine = head->fine_values + position * head->size;
  head->value_scales[position] = scale_to(HALVES, x, head->size, row) * 256;
  for (int i = 0; i < head->size; i++) {
    *value_at(head, position, i) = coarse_half(row[i]);
    fine[i] = row[i] - coarse_half(row[i]) * 256;
  }
}

static void move_position(const Head *head, int from, int to) {
  int size = head->size;
  for (int i = 0; i < size; i++) {
    head->keys[to * size + i] = head->keys[from * size + i];
    head->fine_keys[to * size + i] = head->fine_keys[from * size + i];
    head->fine_values[to * size + i] = head->fine_values[from * size + i];
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

static void round_query(Query *to, const float *x, int size) {
  to->scale = scale_to(32767, x, size, to->numbers) / __builtin_sqrtf(size);
}

// How well a query fits the keys from `start` to `stop`. They are looked at in fours: what is written behind `stop`
// means nothing.
static void score(const Head *head, const Query *query, int start, int stop, float *scores) {
  vec by = wasm_f32x4_splat(query->scale);
  for (int i = start & ~3; i < stop; i += 4) {
    vec dots = four_dots(query->numbers, head->keys + i * head->size, head->size);
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

// Lists the positions that have a chance of `much` or more, one after the other; returns how many there are.
static int find_chances(const float *chances, int positions, float much, int *found) {
  int count = 0;
  for (int i = 0; i < positions; i += 4) {
    if (!wasm_v128_any_true(wasm_f32x4_ge(wasm_v128_load(chances + i), wasm_f32x4_splat(much)))) continue;
    for (int n = i; n < i + 4; n++)
      if (chances[n] >= much) found[count++] = n;
  }
  return count;
}

// By what a chance grows if the fine half of a key is looked at, too.
static float fine_factor(const Head *head, const Query *query, int position) {
  const int8_t *fine = head->fine_keys + position * head->size;
  vec dots = wasm_i32x4_splat(0);
  for (int i = 0; i < head->size; i += 8) {
    vec dot = wasm_i32x4_dot_i16x8(wasm_v128_load(query->numbers + i), wasm_i16x8_load8x8(fine + i));
    dots = wasm_i32x4_add(dots, dot);
  }
  float fit = sum_of(wasm_f32x4_convert_i32x4(dots)) * query->scale * head->key_scales[position] / 256;
  return wasm_f32x4_extract_lane(exponential(wasm_f32x4_splat(fit)), 0);
}

// Adds the fine half of a value.
static void add_fine(const Head *head, int position, float weight, float *out) {
  const int8_t *fine = head->fine_values + position * head->size;
  vec by = wasm_f32x4_splat(weight * head->value_scales[position] / 256);
  for (int i = 0; i < head->size; i += 8) {
    vec both = wasm_i16x8_load8x8(fine + i);
    vec low = wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(both));
    vec high = wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(both));
    wasm_v128_store(out + i, wasm_f32x4_add(wasm_v128_load(out + i), wasm_f32x4_mul(low, by)));
    wasm_v128_store(out + i + 4, wasm_f32x4_add(wasm_v128_load(out + i + 4), wasm_f32x4_mul(high, by)));
  }
}

// Weighs the values of `positions`, a multiple of SPAN, by their chances divided by `sum`, and adds them up. Those of a
// span that has a negligible share are not looked at: most heads of a trained model look at few places.
static void add_values(const Head *head, int positions, const float *chances, float sum, float *out) {
  static int16_t weights[MOST_LENGTH];
  static float scales[MOST_LENGTH / SPAN];
  static int starts[MOST_LENGTH / SPAN];
  int spans = 0;
  for (int start = 0; start < positions; start += SPAN) {
    float row[SPAN];
    vec share = wasm_f32x4_splat(0);
    for (int i = 0; i < SPAN; i += 4) {
      vec chance = wasm_v128_load(chances + start + i);
      share = wasm_f32x4_add(share, chance);
      wasm_v128_store(row + i, wasm_f32x4_mul(chance, wasm_v128_load(head->value_scales + start + i)));
    }
    if (sum_of(share) < NEGLIGIBLE * sum) continue;
    starts[spans] = start;
    scales[spans] = scale_to(32767, row, SPAN, weights + spans * SPAN) / sum;
    spans++;
  }
  for (int i = 0; i < head->size; i += CHUNK) {
    const int16_t *weight = weights;
    vec sums[4] = {wasm_f32x4_splat(0), wasm_f32x4_splat(0), wasm_f32x4_splat(0), wasm_f32x4_splat(0)};
    for (int span = 0; span < spans; span++) {
      const int8_t *value = value_at(head, starts[span], i);
      vec parts[4] = {wasm_i32x4_splat(0), wasm_i32x4_splat(0), wasm_i32x4_splat(0), wasm_i32x4_splat(0)};
#pragma unroll
      for (int pair = 0; pair < SPAN / 2; pair++, weight += 2, value += 2 * CHUNK) {
        vec both = wasm_v128_load32_splat(weight);
#pragma unroll
        for (int n = 0; n < 4; n++)
          parts[n] = wasm_i32x4_add(parts[n], wasm_i32x4_dot_i16x8(both, wasm_i16x8_load8x8(value + 8 * n)));
      }
      vec scale = wasm_v128_load32_splat(scales + span);
#pragma unroll
      for (int n = 0; n < 4; n++)
        sums[n] = wasm_f32x4_add(sums[n], wasm_f32x4_mul(wasm_f32x4_convert_i32x4(parts[n]), scale));
    }
    for (int n = 0; n < 4; n++) wasm_v128_store(out + i + 4 * n, sums[n]);
  }
}
