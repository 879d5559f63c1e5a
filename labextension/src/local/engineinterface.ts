/** The interface of the browser engine. */

/** The tokens of a fill-in-the-middle prompt. */
export interface IMarks {
  prefix: number;
  suffix: number;
  middle: number;
}

/** A token is a character. */
export interface IVocabulary {
  readonly marks: IMarks;
  /** Tokenize a text without control tokens; an unknown character becomes the stand-in token. */
  tokenize(text: string): number[];
  /** A token's text; '' for a control token. Texts of tokens, joined, are the text. */
  text(token: number): string;
}

/** The parameters of a generation, which is greedy. */
export interface ISampling {
  /** 0: only evaluate the prompt */
  maxTokens: number;
  /** a token that must not be the first */
  banned: number | null;
}

/** The statistics of a generation, updated by the engine. */
export interface IUsage {
  /** tokens of the prompt that were in the KV cache */
  cachedTokens: number;
  promptMs: number;
  predictedMs: number;
  draftedTokens: number;
  acceptedTokens: number;
}

export function newUsage(): IUsage {
  return { cachedTokens: 0, promptMs: 0, predictedMs: 0, draftedTokens: 0, acceptedTokens: 0 };
}

/** A generation request. */
export interface IEngineRequest {
  prompt: readonly number[];
  /** a draft of the text, which the engine may verify in one batch */
  draft: readonly number[];
  sampling: ISampling;
  usage: IUsage;
}

export interface IToken {
  token: number;
  /** in the model's own distribution, from 0 to 1 */
  probability: number;
}

export interface IEngine {
  readonly name: string;
  /** the maximum number of tokens of prompt and completion */
  readonly contextSize: number;
  readonly vocabulary: IVocabulary;
  /**
   * Generate a text, token by token, until an end token or a stand-in token, which are not yielded, or until
   * `maxTokens`. Generations do not overlap.
   *
   * Once `signal` is aborted, it throws an `AbortError` after the current token or prompt batch. To stop early, leave the
   * loop, which calls the iterator's `return`.
   */
  generate(ask: IEngineRequest, signal: AbortSignal): AsyncIterable<IToken>;
}
