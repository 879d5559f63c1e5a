/** The vocabulary of a character model: a token for each code point of a text. */

import type { IMarks, IVocabulary } from './engineinterface';

/** A vocabulary in a message. */
export interface IVocabularyData {
  /** the text of each token, empty for a control token */
  texts: readonly string[];
  marks: IMarks;
  /** the token for unknown characters */
  standIn: number;
}

export class CharacterVocabulary implements IVocabulary {
  constructor(readonly data: IVocabularyData) {
    this._tokens = new Map(data.texts.map((text, token) => [text, token]));
    this._tokens.delete('');
  }

  get marks(): IMarks {
    return this.data.marks;
  }

  tokenize(text: string): number[] {
    return Array.from(text, character => this._tokens.get(character) ?? this.data.standIn);
  }

  text(token: number): string {
    return this.data.texts[token] ?? '';
  }

  private readonly _tokens: Map<string, number>;
}
