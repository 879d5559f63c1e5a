// Llama's graph for WebAssembly: one sequence, one thread. engine.ts lays the memory out through `create`, fills
// the weights, and calls `evaluate`; it checks everything before that, so that nothing here has to.
#include "attention.h"
#include "matrix.h"

#define EXPORT __attribute__((visibility("default")))

enum { PAGE = 65536, LAYERS = 64 };
enum { ATTENTION_NORM, FEED_NORM, NORMS };
enum { QUERY, KEY, VALUE, ATTENTION_OUTPUT, GATE, UP, DOWN, MATRICES };

typedef struct {
  float *norms[NORMS];
  Matrix matrices[MATRICES];
  int8_t *keys, *values, *fine_keys, *fine_values;
  float *key_scales, *value_scales;
} Layer;

static struct {
  int width, inner, layers, heads, key_heads, head_size, vocabulary, length;
  float epsilon;
  Matrix embedding, output;
  float *output_norm, *rotations;
  Layer layer[LAYERS];
  int *tokens, *moved;
  uint8_t *staging;
  float *stream, *query, *key, *value, *rest, *gate, *up, *scores, *logits;
  Rounded narrow, wide;
  // Neighbours that were moved by as much: where they end, and by how much.
  struct {
    int stop, moved;
  } runs[MOST_LENGTH];
} model;

extern uint8_t __heap_base;
static uint64_t top;

static void *take(uint64_t bytes) {
  void *at = (void *)(uintptr_t)top;
  top += (bytes + 63) & ~63ull;
  return at;
}

static Matrix new_matrix(int rows, int columns) {
  rows = (rows + 2 * ROWS - 1) / (2 * ROWS) * (2 * ROWS);
  return (Matrix){rows, columns, take((uint64_t)rows / ROWS * (columns / BLOCK) * sizeof(Block))};
}

static Rounded new_rounded(int columns) {
  return (Rounded){columns, take(BATCH * columns * 2), take(BATCH * columns / BLOCK * 4)};
}

// Lays out a model's memory and takes it; false if there is not as much.
EXPORT int create(int width, int inner, int layers, int heads, int key_heads, int vocabulary, int length,
                  float epsilon, int tied) {
  int head_size = width / heads, keys = key_heads * head_size;
  length = (length + SPAN - 1) / SPAN * SPAN;
  model.width = width, model.inner = inner, model.layers = layers, model.heads = heads;
  model.key_heads = key_heads, model.head_size = head_size, model.vocabulary = vocabulary;
  model.length = length, model.epsilon = epsilon;
  top = ((uintptr_t)&__heap_base + 63) & ~63u;
  model.embedding = new_matrix(vocabulary, width);
  model.output = tied ? model.embedding : new_matrix(vocabulary, width);
  model.output_norm = take(4 * width);
  model.rotations = take((uint64_t)length * 2 * head_size * 4);
  for (int n = 0; n < layers; n++) {
    Layer *layer = model.layer + n;
    for (int norm = 0; norm < NORMS; norm++) layer->norms[norm] = take(4 * width);
    layer->matrices[QUERY] = new_matrix(width, width);
    layer->matrices[KEY] = new_matrix(keys, width);
    layer->matrices[VALUE] = new_matrix(keys, width);
    layer->matrices[ATTENTION_OUTPUT] = new_matrix(width, width);
    layer->matrices[GATE] = new_matrix(inner, width);
    layer->matrices[UP] = new_matrix(inner, width);
    layer->matrices[DOWN] = new_matrix(width, inner);
    layer->keys = take((uint64_t)length * keys);
    layer->values = take((uint64_t)length * keys);
    layer->fine_keys = take((uint64_t)length * keys);
    layer->fine_values = take((uint64_t)length * keys);
    layer->key_scales = take((uint64_t)length * key_heads * 4);
    layer->value_scales = take((uint64_t)length * key_heads * 4);
  }
  int widest = inner > width ? inner : width;
  model.tokens = take(BATCH * 4);
  model.moved = take(4 * length);
  model.staging = take(ROWS * 4 * widest);
  model.stream = take(BATCH * 4 * width);
  model.query = take(BATCH * 4 * width);
  model.key = take(BATCH * 4 * keys);
  model.value = take(BATCH * 4 * keys);
  model.rest = take(BATCH * 4 * width);
  model.gate = take(BATCH * 4 * inner);
  model.up = take(BATCH * 4 * inner);
  model.scores = take(4 * length);
  model.logits = take(BATCH * 4 * model.output.rows);
  model.narrow = new_rounded(width);
  model.wide = new_rounded(inner);
  uint64_t pages = (top + PAGE - 1) / PAGE, now = __builtin_wasm_memory_size(0);
  return pages < 65536 && (pages <= now || __builtin_wasm_memory_grow(0, pages - now) != (__SIZE_TYPE__)-1);
}

// Where the numbers of a norm, the angles' cosines and sines, a batch's tokens, four rows of a file, and the
// logits of the n-th vector of a batch stand.
EXPORT float *norm(int layer, int which) {
  return layer < 0 ? model.output_norm : model.layer[layer].norms[which];
}
EXPORT float *rotations(void) { return model.rotations; }
EXPORT int *tokens(void) { return model.tokens; }
EXPORT uint8_t *staging(void) { return model.staging; }
EXPORT float *logits(int n) { return model.logits + n * model.output.rows; }

// Takes four rows of a matrix from `staging`, of which `present` are there; layer -1 has the embeddings (0) and
// the output (1). False if there is what is not a number.
EXPORT int put_rows(int layer, int which, int four, int type, int present) {
  Matrix *matrix = layer >= 0 ? &model.layer[layer].matrices[which] : which ? &model.output : &model.embedding;
  return pack(matrix, four, model.staging, type, present);
}

static Head head_of(const Layer *layer, int head) {
  int at = head * model.length, size = model.head_size;
  return (Head){size,
                model.length,
                layer->keys + at * size,
                layer->values + at * size,
                layer->fine_keys + at * size,
                layer->fine_values + at * size,
                layer->key_scales + at,
                layer->value_scales + at};
}

// Turns pairs of neighbours by a position's angles; `sign` -1: back.
static void rotate(float *x, int position, float sign) {
  const float *cosines = model.rotations + position * 2 * model.head_size, *sines = cosines + model.head_size;
  for (int i = 0; i < model.head_size; i += 4) {
    vec v = wasm_v128_load(x + i), swapped = wasm_i32x4_shuffle(v, v, 1, 0, 3, 2);
    vec sine = wasm_f32x4_mul(wasm_v128_load(sines + i), wasm_f32x4_splat(sign));
    v = wasm_f32x4_add(wasm_f32x4_mul(v, wasm_v128_load(cosines + i)), wasm_f32x4_mul(swapped, sine));
    wasm_v128_store(x + i, v);
  }
}

// The vectors from `from` on, divided by their length and weighted, rounded.
static void normalise(const float *weights, int from, int count) {
  for (int t = from; t < count; t++) {
    const float *x = model.stream + t * model.width;
    float *to = model.rest + t * model.width;
    vec squares = wasm_f32x4_splat(0);
    for (int i = 0; i < model.width; i += 4) {
      vec v = wasm_v128_load(x + i);
      squares = wasm_f32x4_add(squares, wasm_f32x4_mul(v, v));
    }
    vec by = wasm_f32x4_splat(1 / __builtin_sqrtf(sum_of(squares) / model.width + model.epsilon));
    for (int i = 0; i < model.width; i += 4)
      wasm_v128_store(to + i, wasm_f32x4_mul(wasm_f32x4_mul(wasm_v128_load(x + i), by), wasm_v128_load(weights + i)));
    round_row(&model.narrow, t, to);
  }
}

static void read_keys_and_values(Layer *layer, int start, int count) {
  int size = model.head_size, keys = model.key_heads * size;
  multiply(&layer->matrices[KEY], &model.narrow, 0, count, model.key, 0);
  multiply(&layer->matrices[VALUE], &model.narrow, 0, count, model.value, 0);
  for (int h = 0; h < model.key_heads; h++) {
    Head head = head_of(layer, h);
    for (int t = 0; t < count; t++) {
      float *key = model.key + t * keys + h * size;
      rotate(key, start + t, 1);
      put_key(&head, start + t, key);
      put_value(&head, start + t, model.value + t * keys + h * size);
    }
  }
}

static void find_runs(int count) {
  for (int run = 0, start = 0; start < count; run++) {
    int stop = start + 1, moved = model.moved[start];
    while (stop < count && model.moved[stop] == moved) stop++;
    model.runs[run].stop = start = stop;
    model.runs[run].moved = moved;
  }
}

// A query for keys that were moved: they are turned by other angles than those of their positions, and instead of
// them, the query is.
static Query turned(const float *query, int moved) {
  Query rounded;
  float x[MOST_HEAD];
  for (int i = 0; i < model.head_size; i++) x[i] = query[i];
  rotate(x, moved < 0 ? -moved : moved, moved < 0 ? 1 : -1);
  round_query(&rounded, x, model.head_size);
  return rounded;
}

// What one head of one token finds.
static void attend(const Head *head, const float *query, int position, float *out) {
  static int found[MOST_LENGTH];
  float *chances = model.scores;
  int end = position + 1, positions = (position / SPAN + 1) * SPAN;
  for (int run = 0, start = 0; start < end; start = model.runs[run++].stop) {
    int stop = model.runs[run].stop;
    Query rounded = turned(query, model.runs[run].moved);
    score(head, &rounded, start, stop < end ? stop : end, chances);
  }
  float sum = softmax(chances, positions, position), grown = 0;
  int count = find_chances(chances, positions, MUCH * sum, found);
  for (int run = 0, n = 0; n < count; run++) {
    if (found[n] >= model.runs[run].stop) continue;
    Query rounded = turned(query, model.runs[run].moved);
    for (; n < count && found[n] < model.runs[run].stop; n++) {
      float *chance = chances + found[n], before = *chance;
      *chance *= fine_factor(head, &rounded, found[n]);
      grown += *chance - before;
    }
  }
  add_values(head, positions, chances, sum + grown, out);
  for (int n = 0; n < count; n++) add_fine(head, found[n], chances[found[n]] / (sum + grown), out);
}

static void attention(Layer *layer, int start, int from, int count) {
  int size = model.head_size, sharing = model.heads / model.key_heads;
  multiply(&layer->matrices[QUERY], &model.narrow, from, count, model.query, 0);
  for (int h = 0; h < model.heads; h++) {
    Head head = head_of(layer, h / sharing);
    for (int t = from; t < count; t++) {
      float *query = model.query + t * model.width + h * size;
      rotate(query, start + t, 1);
      attend(&head, query, start + t, model.rest + t * model.width + h * size);
    }
  }
  for (int t = from; t < count; t++) round_row(&model.narrow, t, model.rest + t * model.width);
  multiply(&layer->matrices[ATTENTION_OUTPUT], &model.narrow, from, count, model.stream, 1);
}

// SwiGLU.
static void feed(Layer *layer, int from, int count) {
  multiply(&layer->matrices[GATE], &model.narrow, from, count, model.gate, 0);
  multiply(&layer->matrices[UP], &model.narrow, from, count, model.up, 0);
  for (int t = from; t < count; t++) {
    float *gate = model.gate + t * model.inner;
    const float *up = model.up + t * model.inner;
    for (int i = 0; i < model.inner; i += 4) {
      vec x = wasm_v128_load(gate + i), one = wasm_f32x4_splat(1);
      vec share = wasm_f32x4_add(one, exponential(wasm_f32x4_neg(x)));
      wasm_v128_store(gate + i, wasm_f32x4_mul(wasm_f32x4_div(x, share), wasm_v128_load(up + i)));
    }
    round_row(&model.wide, t, gate);
  }
  multiply(&layer->matrices[DOWN], &model.wide, from, count, model.stream, 1);
}

// Reads the `count` tokens of a batch at the positions from `start` on. Those from `outputs` on get logits; what
// only they need is not computed for the others.
EXPORT void evaluate(int start, int count, int outputs) {
  for (int t = 0; t < count; t++) {
    unpack_row(&model.embedding, model.tokens[t], model.stream + t * model.width);
    model.moved[start + t] = 0;
  }
  find_runs(start + count);
  for (int n = 0; n < model.layers; n++) {
    Layer *layer = model.layer + n;
    int from = n + 1 < model.layers ? 0 : outputs;
    normalise(layer->norms[ATTENTION_NORM], 0, count);
    read_keys_and_values(layer, start, count);
    attention(layer, start, from, count);
    normalise(layer->norms[FEED_NORM], from, count);
    feed(layer, from, count);
  }
  normalise(model.output_norm, outputs, count);
  multiply(&model.output, &model.narrow, outputs, count, model.logits, 0);
}

// Moves what was read at `count` positions to others.
EXPORT void move(int from, int to, int count) {
  for (int n = 0; n < count; n++) {
    int i = to > from ? count - 1 - n : n;
    model.moved[to + i] = model.moved[from + i] + to - from;
    for (int layer = 0; layer < model.layers; layer++)
      for (int h = 0; h < model.key_heads; h++) {
        Head head = head_of(model.layer + layer, h);
        move_position(&head, from + i, to + i);
      }
  }
}
