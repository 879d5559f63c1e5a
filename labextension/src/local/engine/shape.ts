/** Validate a model's dimensions and that its file has exactly the tensors for them. Pure. */

import { type IGguf, type ITensor, ModelError } from './gguf';

export interface IShape {
  width: number;
  inner: number;
  layers: number;
  heads: number;
  keyHeads: number;
  vocabulary: number;
  /** The context size. */
  length: number;
  epsilon: number;
  frequency: number;
  /** Whether the output uses the embeddings. */
  tied: boolean;
}

/** A tensor and its dimensions. */
export interface IPlace {
  tensor: ITensor;
  rows: number;
  columns: number;
}

/** The limit of `labextension/wasm/attention.h`. */
const MAX_CONTEXT_LENGTH = 2048;
const MOST_KEYS = 256 * 1024 * 1024; // bytes of keys and values
const NORMS = ['attn_norm', 'ffn_norm'];
const MATRICES = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'];

export function shapeOf({ values, tensors }: IGguf): IShape {
  const architecture = values.get('general.architecture');
  if (architecture !== 'llama') {
    const name = typeof architecture === 'string' ? ` (${architecture.slice(0, 40)})` : '';
    throw new ModelError(
      `The browser engine supports only the Llama architecture, not that of this model${name}.`
    );
  }
  const number = (name: string, least: number, most: number, otherwise?: number): number => {
    const value = values.get(`llama.${name}`) ?? otherwise;
    if (typeof value !== 'number' || !(value >= least && value <= most)) {
      throw new ModelError(
        `The browser engine cannot run this model: its ${name} is missing or out of range.`
      );
    }
    return value;
  };
  const whole = (name: string, least: number, most: number, otherwise?: number): number => {
    const value = number(name, least, most, otherwise);
    if (!Number.isInteger(value)) {
      throw new ModelError(`The model file is damaged: its ${name} is not an integer.`);
    }
    return value;
  };
  const heads = whole('attention.head_count', 1, 128);
  const width = whole('embedding_length', 32, 2048);
  const size = width / heads;
  const shape: IShape = {
    width,
    inner: whole('feed_forward_length', 32, 8192),
    layers: whole('block_count', 1, 64),
    heads,
    keyHeads: whole('attention.head_count_kv', 1, heads, heads),
    vocabulary: tensors.get('token_embd.weight')?.shape[1] ?? 0,
    length: Math.min(MAX_CONTEXT_LENGTH, whole('context_length', 32, 1 << 24)),
    epsilon: number('attention.layer_norm_rms_epsilon', 1e-12, 1),
    frequency: number('rope.freq_base', 1, 1e9, 10000),
    tied: !tensors.has('output.weight')
  };
  // Within these limits, all integers in the engine fit into 32 bits.
  if (width % 32 || shape.inner % 32 || size % 16 || size > 128 || heads % shape.keyHeads) {
    throw new ModelError(
      'The browser engine cannot run this model: its dimensions are not multiples of the block size 32.'
    );
  }
  for (const name of ['rope.dimension_count', 'attention.key_length', 'attention.value_length']) {
    whole(name, size, size, size);
  }
  const scaling = values.get('llama.rope.scaling.type') ?? 'none';
  if (scaling !== 'none') {
    throw new ModelError('The browser engine cannot run this model: it scales its positions (RoPE scaling).');
  }
  const keys = (shape.keyHeads / heads) * width;
  if (shape.layers * shape.length * keys * 4 > MOST_KEYS) {
    throw new ModelError('The model is too large for the browser engine: its context takes too much memory.');
  }
  return shape;
}

/** All tensors of a model by layer (−1: none) and kind. */
export function placesOf(
  { tensors }: IGguf,
  shape: IShape
): { norms: [number, number, IPlace][]; matrices: [number, number, IPlace][] } {
  const left = new Set(tensors.keys());
  const place = (name: string, rows: number, columns: number): IPlace => {
    const full = `${name}.weight`;
    const tensor = tensors.get(full);
    left.delete(full);
    const [first, ...others] = tensor?.shape ?? [];
    if (!tensor || first !== columns || others.reduce((a, b) => a * b, 1) !== rows) {
      throw new ModelError(`The model file is damaged: ${full} is missing or has the wrong shape.`);
    }
    if (rows === 1 && tensor.type !== 0) {
      throw new ModelError(`The browser engine cannot run this model: ${full} is not of type F32.`);
    }
    return { tensor, rows, columns };
  };
  const { width, inner, layers, vocabulary } = shape;
  const keys = (shape.keyHeads / shape.heads) * width;
  const sizes = [
    [width, width],
    [keys, width],
    [keys, width],
    [width, width],
    [inner, width],
    [inner, width],
    [width, inner]
  ];
  const norms: [number, number, IPlace][] = [[-1, 0, place('output_norm', 1, width)]];
  const matrices: [number, number, IPlace][] = [[-1, 0, place('token_embd', vocabulary, width)]];
  if (!shape.tied) {
    matrices.push([-1, 1, place('output', vocabulary, width)]);
  }
  for (let layer = 0; layer < layers; layer++) {
    NORMS.forEach((name, kind) => norms.push([layer, kind, place(`blk.${layer}.${name}`, 1, width)]));
    MATRICES.forEach((name, kind) => {
      matrices.push([layer, kind, place(`blk.${layer}.${name}`, sizes[kind][0], sizes[kind][1])]);
    });
  }
  if (left.size) {
    throw new ModelError(
      'The browser engine cannot run this model: it has tensors that the Llama architecture does not define.'
    );
  }
  return { norms, matrices };
}
