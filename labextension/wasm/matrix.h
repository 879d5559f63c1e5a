// Matrices of eight-bit weights with a scale for each 32 of a row (GGUF's Q8_0), and their products.
//
// Rows stand in fours, and within them pairs of columns: r0c0 r0c1 r1c0 r1c1 r2c0 r2c1 r3c0 r3c1 r0c2 ... So a
// product of 16-bit vectors that adds neighbours has the sums of four rows in its four lanes, and nothing has
// to be added across lanes.
#pragma once
#include "simd.h"

enum { BLOCK = 32, ROWS = 4, BATCH = 8, F32 = 0, F16 = 1, Q8_0 = 8 };

typedef struct {
  float scales[ROWS];
  int8_t weights[ROWS * BLOCK];
} Block;

typedef struct {
  int rows, columns;  // rows: a multiple of two fours; what a model lacks of them is zero
  Block *blocks;
} Matrix;

// The vectors of a batch in sixteen bits, with a scale for each block, too. llama.cpp has eight bits here; more cost
// nothing, because the product wants sixteen.
typedef struct {
  int columns;
  int16_t *values;
  float *scales;
} Rounded;

static void round_row(Rounded *to, int token, const float *x) {
  int16_t *values = to->values + token * to->columns;
  float *scales = to->scales + token * (to->columns / BLOCK);
  for (int b = 0; b < to->columns / BLOCK; b++) scales[b] = scale_to(32767, x + b * BLOCK, BLOCK, values + b * BLOCK);
}

// The products of `fours` * 4 rows with `tokens` vectors.
INLINE void tile(const int fours, const int tokens, const Matrix *m, const Rounded *x, int four, int token,
                 float *out, int add) {
  int blocks = m->columns / BLOCK;
  const Block *block = m->blocks + four * blocks;
  const int16_t *values = x->values + token * m->columns;
  const float *scales = x->scales + token * blocks;
  vec sums[fours][tokens];
#pragma unroll
  for (int f = 0; f < fours; f++)
#pragma unroll
    for (int t = 0; t < tokens; t++) {
      float *at = out + (token + t) * m->rows + (four + f) * ROWS;
      sums[f][t] = add ? wasm_v128_load(at) : wasm_f32x4_splat(0);
    }
  for (int b = 0; b < blocks; b++, block++, values += BLOCK, scales++) {
    vec dots[fours][tokens];
#pragma unroll
    for (int f = 0; f < fours; f++)
#pragma unroll
      for (int t = 0; t < tokens; t++) dots[f][t] = wasm_i32x4_splat(0);
#pragma unroll
    for (int i = 0; i < BLOCK; i += 2) {
      vec weights[fours];
#pragma unroll
      for (int f = 0; f < fours; f++) weights[f] = wasm_i16x8_load8x8(block[f * blocks].weights + ROWS * i);
#pragma unroll
      for (int t = 0; t < tokens; t++) {
        vec pair = wasm_v128_load32_splat(values + t * m->columns + i);
#pragma unroll
        for (int f = 0; f < fours; f++)
          dots[f][t] = wasm_i32x4_add(dots[f][t], wasm_i32x4_dot_i16x8(weights[f], pair));
      }
    }
#pragma unroll
    for (int t = 0; t < tokens; t++) {
      vec scale = wasm_v128_load32_splat(scales + t * blocks);
#pragma unroll
      for (int f = 0; f < fours; f++) {
        vec both = wasm_f32x4_mul(wasm_v128_load(block[f * blocks].scales), scale);
        sums[f][t] = wasm_f32x4_add(sums[f][t], wasm_f32x4_mul(wasm_f32x4_convert_i32x4(dots[f][t]), both));
      }
    }
  }
#pragma unroll
  for (int f = 0; f < fours; f++)
#pragma unroll
    for (int t = 0; t < tokens; t++)
      wasm_v128_store(out + (token + t) * m->rows + (four + f) * ROWS, sums[f][t]);
}

// out = m x for the vectors `from` to `count`, or out += m x. The weights are read once for all of them. A
// vector's result does not depend on how many there are: the order of its sums is the same.
static void multiply(const Matrix *m, const Rounded *x, int from, int count, float *out, int add) {
  for (int four = 0; four < m->rows / ROWS; four += 2) {
    int token = from;
    for (; token + 2 <= count; token += 2) tile(2, 2, m, x, four, token, out, add);
    if (token < count) tile(2, 1, m, x, four, token, out, add);
  }
}

// Puts four rows from a file into a matrix; false if one holds what is not a number. Rows from `present` on are
// not in the file, and zero.
static int pack(Matrix *m, int four, const uint8_t *raw, int type, int present) {
  int blocks = m->columns / BLOCK;
  int size = type == F32 ? 4 * BLOCK : type == F16 ? 2 * BLOCK : 2 + BLOCK;
  for (int r = 0; r < ROWS; r++)
    for (int b = 0; b < blocks; b++) {
      Block *block = m->blocks + four * blocks + b;
      const uint8_t *from = raw + (r * blocks + b) * size;
      float values[BLOCK], largest = 0, scale = 0;
      if (r >= present) from = 0;
      for (int i = 0; from && type != Q8_0 && i < BLOCK; i++) {
        values[i] = type == F32 ? ((const float *)from)[i] : from_half(((const uint16_t *)from)[i]);
        if (!is_finite(values[i])) return 0;
        float size_of = __builtin_fabsf(values[i]);
        if (size_of > largest) largest = size_of;
      }
      if (from) scale = type == Q8_0 ? from_half(from[0] | from[1] << 8) : rounded_to_half(largest / 127);
      if (!is_finite(scale)) return 0;
      block->scales[r] = scale;
      for (int i = 0; i < BLOCK; i++) {
        int weight = !from ? 0 : type == Q8_0 ? (int8_t)from[2 + i]
                     : largest > 0 ? (int)__builtin_rintf(values[i] * (127 / largest)) : 0;
        block->weights[i / 2 * 2 * ROWS + 2 * r + i % 2] = weight;
      }
    }
  return 1;
}

// The row of a token in the table of embeddings.
static void unpack_row(const Matrix *m, int row, float *out) {
  int blocks = m->columns / BLOCK, r = row % ROWS;
  const Block *block = m->blocks + row / ROWS * blocks;
  for (int b = 0; b < blocks; b++, block++)
    for (int i = 0; i < BLOCK; i++)
      *out++ = block->weights[i / 2 * 2 * ROWS + 2 * r + i % 2] * block->scales[r];
}
