/** A vocabulary in which each token is a character. */

import type { IMarks, IVocabulary } from './engineinterface';

export class CharacterVocabulary implements IVocabulary {
  /** A character is about a third of what budgets count in. */
  readonly unit = 3;

  /** `standIn` is the token for any character that has none of its own. */
  constructor(
    readonly texts: readonly string[],
    readonly marks: IMarks | null,
    readonly bos: number | null,
    readonly standIn: number
  ) {
    this._tokens = new Map(texts.map((text, token) => [text, token]));
    this._tokens.delete('');
  }

  tokenize(text: string): number[] {
    return Array.from(text, character => this._tokens.get(character) ?? this.standIn);
  }

  text(token: number): string {
    return this.texts[token] ?? '';
  }

  private readonly _tokens: Map<string, number>;
}
