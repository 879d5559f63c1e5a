/** A vocabulary of characters: one token for each code point of a text. */

import { ModelError } from './gguf';
import type { Value } from './gguf';

/** What stands for every character that a vocabulary lacks. */
export const STAND_IN = '\x1a';
const MOST_TOKENS = 1024;
const NORMAL = 1;
const ASCII = 128;

export interface IMarkers {
  prefix: number;
  suffix: number;
  middle: number;
  end: number;
}

export class Vocabulary {
  readonly size: number;
  readonly markers: IMarkers;
  /** The tokens that end a text: the model's own end, and what nobody could read. */
  readonly ends: ReadonlySet<number>;
  /** Tokens that stand for no character and do not end a text: they are never written. */
  readonly hidden: ReadonlySet<number>;
  /** What may stand behind a word without becoming part of it. */
  readonly outside: ReadonlySet<number>;
  private readonly pieces: string[];
  private readonly ids: Int32Array;
  private readonly standIn: number;

  constructor(values: Map<string, Value>) {
    const tokens = values.get('tokenizer.ggml.tokens');
    const types = values.get('tokenizer.ggml.token_type');
    const fits =
      values.get('tokenizer.ggml.model') === 'gpt2' &&
      Array.isArray(tokens) &&
      tokens.length <= MOST_TOKENS &&
      Array.isArray(types) &&
      types.length === tokens.length &&
      values.get('tokenizer.ggml.add_bos_token') !== true;
    if (!fits) {
      throw otherVocabulary();
    }
    this.size = tokens.length;
    this.ids = new Int32Array(ASCII).fill(-1);
    const controls = new Set<number>();
    this.pieces = tokens.map((token, id) => {
      if (types[id] !== NORMAL) {
        controls.add(id);
        return '';
      }
      const code = characterOf(token);
      if (code < 0 || this.ids[code] >= 0) {
        throw otherVocabulary();
      }
      this.ids[code] = id;
      return String.fromCharCode(code);
    });
    this.standIn = this.ids[STAND_IN.charCodeAt(0)];
    if (this.standIn < 0 || this.ids[10] < 0 || this.ids[32] < 0) {
      throw otherVocabulary();
    }
    const control = (name: string): number => {
      const id = values.get(`tokenizer.ggml.${name}_token_id`);
      if (typeof id !== 'number' || !controls.has(id)) {
        throw new ModelError(
          `The engine of the browser cannot use this model: its vocabulary has no ${name}.`
        );
      }
      return id;
    };
    this.markers = {
      prefix: control('fim_pre'),
      suffix: control('fim_suf'),
      middle: control('fim_mid'),
      end: control('eos')
    };
    this.ends = new Set([this.markers.end, this.standIn]);
    this.outside = new Set([...this.ends, ...this.ids.filter((id, code) => id >= 0 && isOutside(code))]);
    this.hidden = new Set([...controls].filter(id => !this.ends.has(id)));
  }

  /** The tokens of a text: as many as it has code points. No text becomes a control token. */
  encode(text: string): number[] {
    const ids: number[] = [];
    for (const character of text) {
      const id = this.ids[character.codePointAt(0) ?? ASCII] ?? -1;
      ids.push(id < 0 ? this.standIn : id);
    }
    return ids;
  }

  /** The text of tokens; control tokens have none. */
  decode(ids: Iterable<number>): string {
    let text = '';
    for (const id of ids) {
      text += this.pieces[id] ?? '';
    }
    return text;
  }
}

function isOutside(code: number): boolean {
  return /\W/.test(String.fromCharCode(code));
}

/** The character a token stands for, in GPT-2's alphabet of bytes; −1: not one of ASCII. */
function characterOf(token: number | string): number {
  const code = typeof token === 'string' && token.length === 1 ? token.charCodeAt(0) : -1;
  if (code > 32 && code < 127) {
    return code;
  }
  // Bytes that cannot be seen are spelt by the characters from U+0100 on, in their order.
  const hidden = code - 256;
  return hidden >= 0 && hidden <= 32 ? hidden : hidden === 33 ? 127 : -1;
}

function otherVocabulary(): ModelError {
  return new ModelError(
    'The engine of the browser cannot use this model: its vocabulary is not one of single characters. ' +
      'Use one that `jupyter turbopilot train --scratch` wrote.'
  );
}
