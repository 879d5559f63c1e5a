/** The vocabulary of a character model: a token for each code point of a text. */

/** A vocabulary in a message. */
export interface IVocabularyData {
  /** the text of each token, empty for a control token */
  texts: readonly string[];
  /** the tokens of a fill-in-the-middle prompt */
  marks: { prefix: number; suffix: number; middle: number };
  /** the token for unknown characters */
  standIn: number;
}

export class CharacterVocabulary {
  constructor(readonly data: IVocabularyData) {
    this._tokens = new Map(data.texts.map((text, token) => [text, token]));
    this._tokens.delete('');
  }

  get marks(): IVocabularyData['marks'] {
    return this.data.marks;
  }

  /** Tokenize a text without control tokens; an unknown character becomes the stand-in token. */
  tokenize(text: string): number[] {
    return Array.from(text, character => this._tokens.get(character) ?? this.data.standIn);
  }

  /** A token's text; '' for a control token. */
  text(token: number): string {
    return this.data.texts[token] ?? '';
  }

  private readonly _tokens: Map<string, number>;
}
