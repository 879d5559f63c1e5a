/** The character vocabulary of a GGUF file, and the roles of its tokens. */

import { CharacterVocabulary } from '../vocabulary';
import { ModelError, type Value } from './gguf';

/** The placeholder for characters that are not in the vocabulary. */
export const STAND_IN = '\x1a';
const MOST_TOKENS = 1024;
const NORMAL = 1;

export class Vocabulary extends CharacterVocabulary {
  readonly size: number;
  /** The tokens that end a text: the end token and the placeholder. */
  readonly ends: ReadonlySet<number>;
  /** Other control tokens, which are never generated. */
  readonly hidden: ReadonlySet<number>;

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
    this.size = texts.length;
    this.ends = new Set([control('eos'), standIn]);
    this.hidden = new Set([...texts.keys()].filter(token => texts[token] === '' && !this.ends.has(token)));
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

/** The character of a token in GPT-2's byte alphabet. */
function characterOf(token: number | string): string {
  const code = typeof token === 'string' && token.length === 1 ? token.charCodeAt(0) : -1;
  if (code > 32 && code < 127) {
    return String.fromCharCode(code);
  }
  // Invisible bytes are spelled as the characters from U+0100, in order.
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
