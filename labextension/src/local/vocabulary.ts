/** Vocabularies that the page can be told: characters that a model knows, or any code point. */

import type { IMarks, IVocabulary } from './engineinterface';

/** A vocabulary in a message. */
export interface IVocabularyTold {
  /** the text of each token, empty for a control token; none at all: tokens are code points */
  texts: readonly string[];
  marks: IMarks | null;
  bos: number | null;
  /** the token for characters that the model does not have */
  standIn: number;
}

/** A character is about a third of what budgets count in. */
const CHARACTERS = 3;

export class CharacterVocabulary implements IVocabulary {
  readonly unit = CHARACTERS;
  readonly byCharacter = true;

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

/** The marks of a prompt in code points: no text holds these. */
export const MARKS: IMarks = { prefix: 0x110000, suffix: 0x110001, middle: 0x110002 };

/** Text as code points, for an engine whose own tokens the page does not know. */
export class CodePoints implements IVocabulary, IVocabularyTold {
  readonly unit = CHARACTERS;
  readonly byCharacter = false;
  readonly texts = [];
  readonly marks: IMarks | null;
  readonly bos = null;
  readonly standIn = 0xfffd;

  /** `fills`: whether prompts may have a suffix. */
  constructor(fills: boolean) {
    this.marks = fills ? MARKS : null;
  }

  tokenize(text: string): number[] {
    return Array.from(text, character => character.codePointAt(0) ?? this.standIn);
  }

  text(token: number): string {
    return token < MARKS.prefix ? String.fromCodePoint(token) : '';
  }
}

export function vocabularyOf({ texts, marks, bos, standIn }: IVocabularyTold): IVocabulary {
  return texts.length > 0
    ? new CharacterVocabulary(texts, marks, bos, standIn)
    : new CodePoints(marks !== null);
}
