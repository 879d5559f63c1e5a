/** The control tokens of a model, as its GGUF file spells them. Pure. */

import { ModelError } from '../engine/gguf';

/** How the parts of a fill-in-the-middle prompt are marked: prefix, suffix, middle. */
export type MarkTexts = readonly [string, string, string];

export interface ISpecials {
  /** texts that the tokenizer reads as control tokens wherever they stand */
  controls: string[];
  /** null: the model cannot fill in the middle */
  marks: MarkTexts | null;
}

/** So much of a file holds its vocabulary. */
export const HEADER = 32 * 1024 * 1024;

const MAGIC = 0x46554747; // "GGUF"
const [UNKNOWN, CONTROL] = [2, 3];
const [STRING, ARRAY] = [8, 9];
/** The bytes of a value of each type, but for strings and lists. */
const SIZES: Record<number, number | undefined> = Object.fromEntries(
  [1, 1, 2, 2, 4, 4, 4, 1, NaN, NaN, 8, 8, 8].map((size, type) => [type, size || undefined])
);
/** Families whose files do not say which tokens mark the parts. */
const FORMATS: readonly MarkTexts[] = [
  ['<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>'],
  ['<fim_prefix>', '<fim_suffix>', '<fim_middle>'],
  ['<fim-prefix>', '<fim-suffix>', '<fim-middle>']
];
const TOLD = ['pre', 'suf', 'mid'].map(part => `tokenizer.ggml.fim_${part}_token_id`);

/** Read the control tokens off the beginning of a file. */
export function specialsOf(header: Uint8Array): ISpecials {
  try {
    return new Reader(header).specials();
  } catch (reason) {
    throw reason instanceof RangeError
      ? new ModelError('The model file is cut short or damaged. Fetch it again.')
      : reason;
  }
}

class Reader {
  constructor(private readonly _bytes: Uint8Array) {
    this._view = new DataView(_bytes.buffer, _bytes.byteOffset, _bytes.byteLength);
  }

  specials(): ISpecials {
    if (this._u32() !== MAGIC) {
      throw new ModelError('The file is not a GGUF model. Fetch it again.');
    }
    this._at += 4 + 8; // version, number of tensors
    let tokens: string[] = [];
    let types: number[] = [];
    const told = new Map<string, number>();
    for (let left = this._count(); left > 0; left--) {
      const key = this._string();
      const type = this._u32();
      if (key === 'tokenizer.ggml.tokens' && type === ARRAY) {
        tokens = this._list(() => this._string());
      } else if (key === 'tokenizer.ggml.token_type' && type === ARRAY) {
        types = this._list(() => this._u32());
      } else if (TOLD.includes(key) && SIZES[type] === 4) {
        told.set(key, this._u32());
      } else {
        this._skip(type);
      }
    }
    const controls = tokens.filter((text, at) => text && (types[at] === CONTROL || types[at] === UNKNOWN));
    return {
      controls,
      marks: marksIn(
        new Set(tokens),
        TOLD.map(key => tokens[told.get(key) ?? -1])
      )
    };
  }

  private _u32(): number {
    return this._view.getUint32(this._move(4), true);
  }

  /** A length; what does not fit into the file ends in a RangeError wherever it is used. */
  private _count(): number {
    return Number(this._view.getBigUint64(this._move(8), true));
  }

  private _string(): string {
    const size = this._count();
    const start = this._move(size);
    return this._decoder.decode(this._bytes.subarray(start, start + size));
  }

  private _list<T>(read: () => T): T[] {
    this._u32(); // the type of its items
    const items: T[] = [];
    for (let left = this._count(); left > 0; left--) {
      items.push(read());
    }
    return items;
  }

  private _skip(type: number): void {
    if (type === STRING) {
      this._move(this._count());
    } else if (type === ARRAY) {
      const inner = this._u32();
      const length = this._count();
      const size = SIZES[inner];
      if (size) {
        this._move(size * length);
        return;
      }
      for (let left = length; left > 0; left--) {
        this._skip(inner);
      }
    } else {
      this._move(SIZES[type] ?? NaN);
    }
  }

  /** Step over so many bytes; return where they begin. */
  private _move(size: number): number {
    const start = this._at;
    if (!(size <= this._bytes.length - start)) {
      throw new RangeError('cut');
    }
    this._at += size;
    return start;
  }

  private _at = 0;
  private readonly _view: DataView;
  private readonly _decoder = new TextDecoder();
}

function marksIn(tokens: ReadonlySet<string>, told: readonly (string | undefined)[]): MarkTexts | null {
  const [prefix, suffix, middle] = told;
  if (prefix && suffix && middle) {
    return [prefix, suffix, middle];
  }
  return FORMATS.find(texts => texts.every(text => tokens.has(text))) ?? null;
}
