/** A scripted engine for tests. A token is a character or a scripted word. */

import type { IEngineRequest, IEngine, IToken, IVocabulary } from '../engineinterface';

/** The markers of a prompt, which no text contains. */
const MARKS = { prefix: 0x110000, suffix: 0x110001, middle: 0x110002 };
/** Scripted words are numbered in the order of their first use. */
const FIRST_WORD = MARKS.prefix + 16;

function codePointsOf(text: string): number[] {
  return Array.from(text, character => character.codePointAt(0) ?? 0);
}

export class ScriptedEngine implements IEngine {
  /** `script`: the text for each request, as pieces with probabilities */
  constructor(
    private readonly _script: readonly (readonly [text: string, probability: number])[][],
    readonly contextSize: number
  ) {
    this.vocabulary = {
      marks: MARKS,
      tokenize: codePointsOf,
      text: token => this._texts[token - FIRST_WORD] ?? String.fromCodePoint(token)
    };
  }

  readonly vocabulary: IVocabulary;
  readonly asks: IEngineRequest[] = [];

  async generate(ask: IEngineRequest, take: (token: IToken) => boolean, signal: AbortSignal): Promise<void> {
    const message = this._script[this.asks.length] ?? [];
    this.asks.push(ask);
    for (const [text, probability] of message.slice(0, ask.maxTokens)) {
      await Promise.resolve();
      signal.throwIfAborted();
      if (!take({ token: this._numberOf(text), probability })) {
        return;
      }
    }
  }

  private _numberOf(text: string): number {
    const [only, ...others] = codePointsOf(text);
    if (only !== undefined && others.length === 0) {
      return only;
    }
    const known = this._texts.indexOf(text);
    return FIRST_WORD + (known < 0 ? this._texts.push(text) - 1 : known);
  }

  private readonly _texts: string[] = [];
}
