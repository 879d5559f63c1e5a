/** The vocabulary of a character-level model: each code point of a text is a token. */

import type { IMarks, IVocabulary } from './engineinterface';

/** A vocabulary in a message. */
export interface IVocabularyTold {
  /** the text of each token, empty for a control token */
  texts: readonly string[];
  marks: IMarks;
  /** the token for any unknown character */
  standIn: number;
}

export class CharacterVocabulary implements IVocabulary {
  constructor(readonly told: IVocabularyTold) {
    this._tokens = new Map(told.texts.map((text, token) => [text, token]));
    this._tokens.delete('');
  }

  get marks(): IMarks {
    return this.told.marks;
  }

  tokenize(text: string): number[] {
    return Array.from(text, character => this._tokens.get(character) ?? this.told.standIn);
  }

  text(token: number): string {
    return this.told.texts[token] ?? '';
  }

  private readonly _tokens: Map<string, number>;
}
