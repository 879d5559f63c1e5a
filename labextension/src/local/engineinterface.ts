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

/** The engine, as the page uses it. */
export interface IEngine {
  /** the maximum number of tokens of prompt and completion */
  readonly contextSize: number;
  readonly vocabulary: IVocabulary;
  /**
   * Generate a text until an end token or a stand-in token, or until `maxTokens`. `take` is called with each token, and
   * returns whether to go on.
   */
  generate(ask: IEngineRequest, take: (token: IToken) => boolean, signal: AbortSignal): Promise<unknown>;
}
