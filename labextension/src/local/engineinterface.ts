/** The interface of the browser engine. */

import type { CharacterVocabulary } from './vocabulary';

export type IVocabulary = Pick<CharacterVocabulary, 'marks' | 'tokenize' | 'text'>;

/** A request for a text, whose tokens are the most likely ones. */
export interface IEngineRequest {
  prompt: readonly number[];
  /** a draft of the text, which the engine may verify in one batch */
  draft: readonly number[];
  /** 0: only evaluate the prompt */
  maxTokens: number;
  /** a token that must not be the first */
  banned: number | null;
}

export interface IToken {
  token: number;
  /** in the model's own distribution, from 0 to 1 */
  probability: number;
}

export interface IEngine {
  /** the maximum number of tokens of prompt and completion */
  readonly contextSize: number;
  readonly vocabulary: IVocabulary;
  /**
   * Generate a text, token by token, until an end token or a stand-in token, which are not yielded, or until
   * `maxTokens`.
   *
   * Once `signal` is aborted, it throws an `AbortError` after the current token or prompt batch. To stop early, leave the
   * loop, which calls the iterator's `return`.
   */
  generate(ask: IEngineRequest, signal: AbortSignal): AsyncIterable<IToken>;
}
