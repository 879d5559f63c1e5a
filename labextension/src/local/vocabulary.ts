/** The vocabulary of a model of characters, as the page is told it. */

import type { IMarks, IVocabulary } from './engineinterface';

/** A vocabulary in a message. */
export interface IVocabularyTold {
  /** the text of each token, empty for a control token */
  texts: readonly string[];
  marks: IMarks;
  /** the token for any character that has none of its own */
  standIn: number;
}

export class CharacterVocabulary implements IVocabulary {
  readonly marks: IMarks;

  constructor({ texts, marks, standIn }: IVocabularyTold) {
    this.marks = marks;
    this._texts = texts;
    this._standIn = standIn;
    this._tokens = new Map(texts.map((text, token) => [text, token]));
    this._tokens.delete('');
  }

  tokenize(text: string): number[] {
    return Array.from(text, character => this._tokens.get(character) ?? this._standIn);
  }

  text(token: number): string {
    return this._texts[token] ?? '';
  }

  private readonly _texts: readonly string[];
  private readonly _standIn: number;
  private readonly _tokens: Map<string, number>;
}
