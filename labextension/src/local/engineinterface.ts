/** What a model in the page has to offer. Whoever answers requests knows nothing else of it. */

/** The tokens of a fill-in-the-middle prompt. */
export interface IMarks {
  prefix: number;
  suffix: number;
  middle: number;
}

/** A token is a character. */
export interface IVocabulary {
  readonly marks: IMarks;
  /** Turn text into tokens, none of them a control token: what the model has no character for becomes its stand-in. */
  tokenize(text: string): number[];
  /** A token's text; '' for a control token. Texts of tokens, joined, are the text. */
  text(token: number): string;
}

/** How a text is written: the likeliest token each time. */
export interface ISampling {
  /** 0: the prompt is only read */
  maxTokens: number;
  /**
   * The text begins with one of these; none: with what it likes. Behind one that is complete anything may follow that
   * does not make a word longer.
   * Until then, a token's probability is the one among those that may follow.
   */
  ways: readonly (readonly number[])[];
  /** a token that the text may not begin with */
  banned: number | null;
}

/** What a text cost; whoever writes it fills this in as it goes. */
export interface IUsage {
  /** tokens of the prompt that had been read before */
  cachedTokens: number;
  promptMs: number;
  predictedMs: number;
  draftedTokens: number;
  acceptedTokens: number;
}

/** What a text cost that is not begun. */
export function newUsage(): IUsage {
  return { cachedTokens: 0, promptMs: 0, predictedMs: 0, draftedTokens: 0, acceptedTokens: 0 };
}

/** A text to be written. */
export interface IAsk {
  prompt: readonly number[];
  /** a guess at the text, which may be verified in one batch instead of being written */
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
  /** the model's name; the gate's coefficients are chosen by it */
  readonly name: string;
  /** how many tokens a prompt and its answer may have together */
  readonly contextSize: number;
  readonly vocabulary: IVocabulary;
  /**
   * Write a text, token by token. It ends, without the token being told, where the model ends it (also at the
   * stand-in for characters it does not have), and after `maxTokens`. One text is written at a time.
   *
   * Once `signal` is aborted it throws an `AbortError` within a token, or within a batch of the prompt. Whoever
   * needs no more leaves the loop, which calls the iterator's `return`.
   */
  generate(ask: IAsk, signal: AbortSignal): AsyncIterable<IToken>;
}

/** Beginnings of a text, as tokens; none: it begins with what it likes. */
export type Ways = readonly (readonly number[])[];

/**
 * What is left of the ways behind tokens that are written: nothing of one that is complete. One that is shorter holds
 * nothing any more, but a longer one that agrees does: a text held to `_` and `__all__` does not stop at `__`.
 */
export function waysBehind(ways: Ways, written: readonly number[]): Ways {
  return ways
    .filter(way => written.every((token, at) => way[at] === token))
    .map(way => way.slice(written.length));
}
