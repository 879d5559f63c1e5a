/** A prompt of code points becomes the string that wllama tokenizes, control tokens included. Pure. */

import { MARKS } from '../vocabulary';
import type { ISpecials } from './specials';

/** What a text is asked with. */
export interface ITextPrompt {
  /** the whole prompt, as wllama gets it */
  prompt: string;
  /** the end of what was typed that is left out of the prompt: the text begins with it */
  typed: string;
}

/** A word's beginning behind at most one space: vocabularies join these to one token with the rest of the word. */
const WORD = / ?[\p{L}\p{N}_]{1,64}$/u;
const NEAR = 80; // characters, more than such a word has
const BYTES = 4; // of a code point, at most

/** Turns prompts into strings in which nothing that was typed is read as a control token. */
export class Spelling {
  constructor({ controls, marks }: ISpecials) {
    this._marks = marks;
    const words = [...new Set([...controls, ...(marks ?? [])])].sort((a, b) => b.length - a.length);
    this._controls = words.length > 0 ? new RegExp(words.map(escaped).join('|')) : null;
  }

  /**
   * Spell a prompt out, in so many bytes at most: a token has at least one. Lines that spell a control token are
   * left out, as the server leaves them out; null: the cursor's own line does.
   */
  prompt(tokens: readonly number[], most: number): ITextPrompt | null {
    const { before: text, after } = partsOf(tokens);
    const [above, line] = cut(text, text.lastIndexOf('\n') + 1);
    const [rest, below] = cut(after, (after + '\n').indexOf('\n'));
    if ([line + rest, line, rest].some(part => this._found(part))) {
      return null;
    }
    const behind = this._marks ? rest + this._without(below) : '';
    const before = this._fitting(this._without(above) + line, most - bytesOf(behind));
    const typed = WORD.exec(before.slice(-NEAR))?.[0] ?? '';
    const kept = before.slice(0, before.length - typed.length);
    return { prompt: this._marked(kept, behind) || '\n', typed };
  }

  private _marked(before: string, after: string): string {
    if (!this._marks) {
      return before;
    }
    const [prefix, suffix, middle] = this._marks;
    return prefix + before + suffix + after + middle;
  }

  /** The end of a text; where it is too long, no more than fits whatever its characters are. */
  private _fitting(text: string, most: number): string {
    return bytesOf(text) <= most
      ? text
      : Array.from(text)
          .slice(-Math.max(1, Math.floor(most / BYTES)))
          .join('');
  }

  private _found(text: string): boolean {
    return this._controls?.test(text) ?? false;
  }

  private _without(text: string): string {
    return this._found(text)
      ? text
          .split(/(?<=\n)/)
          .filter(line => !this._found(line))
          .join('')
      : text;
  }

  private readonly _marks: ISpecials['marks'];
  private readonly _controls: RegExp | null;
}

/** The texts before and behind the hole. What is written already stands behind the last mark. */
function partsOf(tokens: readonly number[]): { before: string; after: string } {
  const suffix = tokens.indexOf(MARKS.suffix);
  if (suffix < 0) {
    return { before: textOf(tokens), after: '' };
  }
  const middle = tokens.indexOf(MARKS.middle, suffix);
  const end = middle < 0 ? tokens.length : middle;
  return {
    before: textOf([...tokens.slice(0, suffix), ...tokens.slice(end + 1)]),
    after: textOf(tokens.slice(suffix + 1, end))
  };
}

/** Text without marks and without lone surrogates, which no JSON may have. */
function textOf(tokens: readonly number[]): string {
  return tokens
    .filter(token => token < MARKS.prefix)
    .map(token => String.fromCodePoint(token >= 0xd800 && token <= 0xdfff ? 0xfffd : token))
    .join('');
}

function cut(text: string, at: number): [string, string] {
  return [text.slice(0, at), text.slice(at)];
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
