/** A scripted engine for tests. A token is a character, or a word of a scripted answer. */

import type { IAsk, IEngine, IToken, IVocabulary } from '../engineinterface';

/** The marks of a prompt: no text holds these. */
const MARKS = { prefix: 0x110000, suffix: 0x110001, middle: 0x110002 };
/** Words that are said are numbered, in the order in which they are first said. */
const SAID = MARKS.prefix + 16;

export function codePointsOf(text: string): number[] {
  return Array.from(text, character => character.codePointAt(0) ?? 0);
}

export class ScriptedEngine implements IEngine {
  /** `said`: the texts, one for each time it is asked, each as pieces with their probabilities */
  constructor(
    private readonly _said: readonly (readonly [text: string, probability: number])[][],
    readonly contextSize: number
  ) {
    this.vocabulary = {
      marks: MARKS,
      tokenize: codePointsOf,
      text: token => this._texts[token - SAID] ?? String.fromCodePoint(token)
    };
  }

  readonly name = 'scripted';
  readonly vocabulary: IVocabulary;
  readonly asks: IAsk[] = [];

  async *generate(ask: IAsk, signal: AbortSignal): AsyncGenerator<IToken> {
    const said = this._said[this.asks.length] ?? [];
    this.asks.push(ask);
    for (const [text, probability] of said.slice(0, ask.sampling.maxTokens)) {
      await Promise.resolve();
      signal.throwIfAborted();
      yield { token: this._numberOf(text), probability };
    }
  }

  private _numberOf(text: string): number {
    const [only, ...others] = codePointsOf(text);
    if (only !== undefined && others.length === 0) {
      return only;
    }
    const known = this._texts.indexOf(text);
    return SAID + (known < 0 ? this._texts.push(text) - 1 : known);
  }

  private readonly _texts: string[] = [];
}
