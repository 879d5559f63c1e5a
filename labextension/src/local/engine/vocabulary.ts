/** The vocabulary of a character-level model in a GGUF file, and the kinds of its tokens. */

import { CharacterVocabulary } from '../vocabulary';
import { ModelError, type Value } from './gguf';

/** The unknown token: it replaces every character that a vocabulary lacks. */
export const STAND_IN = '\x1a';
const MOST_TOKENS = 1024;
const NORMAL = 1;

export class Vocabulary extends CharacterVocabulary {
  readonly size: number;
  /** The tokens that end a text: the model's end token, and the unknown token, which cannot be shown. */
  readonly ends: ReadonlySet<number>;
  /** Tokens without a character that do not end a text: they are never generated. */
  readonly hidden: ReadonlySet<number>;
  /** Tokens that do not extend a word. */
  readonly outside: ReadonlySet<number>;

  constructor(values: Map<string, Value>) {
    const texts = textsIn(values);
    const control = (name: string): number => {
      const id = values.get(`tokenizer.ggml.${name}_token_id`);
      if (typeof id !== 'number' || texts[id] !== '') {
        throw new ModelError(`The browser engine cannot use this model: its vocabulary has no ${name}.`);
      }
      return id;
    };
    const standIn = texts.indexOf(STAND_IN);
    const [prefix, suffix, middle] = [control('fim_pre'), control('fim_suf'), control('fim_mid')];
    super({ texts, marks: { prefix, suffix, middle }, standIn });
    const tokensOf = (holds: (text: string) => boolean): number[] =>
      texts.flatMap((text, token) => (holds(text) ? [token] : []));
    this.size = texts.length;
    this.ends = new Set([control('eos'), standIn]);
    this.outside = new Set([...this.ends, ...tokensOf(text => /\W/.test(text))]);
    this.hidden = new Set(tokensOf(text => text === '').filter(token => !this.ends.has(token)));
  }
}

/** The text of each token, empty for a control token. */
function textsIn(values: Map<string, Value>): string[] {
  const tokens = values.get('tokenizer.ggml.tokens');
  const types = values.get('tokenizer.ggml.token_type');
  const fits =
    values.get('tokenizer.ggml.model') === 'gpt2' &&
    Array.isArray(tokens) &&
    tokens.length <= MOST_TOKENS &&
    Array.isArray(types) &&
    types.length === tokens.length &&
    values.get('tokenizer.ggml.add_bos_token') !== true;
  const texts = fits ? tokens.map((token, id) => (types[id] === NORMAL ? characterOf(token) : '')) : [];
  const known = texts.filter(text => text !== '');
  if (![STAND_IN, '\n', ' '].every(text => known.includes(text)) || new Set(known).size < known.length) {
    throw otherVocabulary();
  }
  return texts;
}

/** Decode a character in GPT-2's byte alphabet. */
function characterOf(token: number | string): string {
  const code = typeof token === 'string' && token.length === 1 ? token.charCodeAt(0) : -1;
  if (code > 32 && code < 127) {
    return String.fromCharCode(code);
  }
  // Bytes that are not printable are mapped to the characters from U+0100 on.
  const hidden = code - 256;
  if (hidden < 0 || hidden > 33) {
    throw otherVocabulary();
  }
  return hidden === 33 ? '\x7f' : String.fromCharCode(hidden);
}

function otherVocabulary(): ModelError {
  return new ModelError(
    'The browser engine cannot use this model: the tokens of its vocabulary are not single characters. ' +
      'Use one that `jupyter turbopilot train --scratch` wrote.'
  );
}
