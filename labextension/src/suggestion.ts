/** The text of a suggestion, how much of it is left as the user types, and what the user has seen of it. Pure. */

import type { ICompletionFrame } from './client';
import { type IInsertion, insertInto, lineStart } from './imports';
import { balancedLength, CLOSERS } from './local/brackets';

/** Cause of a call: a keystroke or a timer, or the user's command. */
export type Trigger = 'automatic' | 'invoke';

export interface IPosition {
  text: string;
  /** UTF-16 units. */
  offset: number;
}

/** The current suggestion, seen from the position of a call. */
export interface ICurrent extends Pick<Suggestion, 'trigger' | 'done' | 'shown' | 'hasDropped'> {
  /** whether it was requested at this position */
  isHere: boolean;
  /** whether some of its text is left to show */
  hasRest: boolean;
  /** whether the cursor is at the end of its text */
  isUsedUp: boolean;
}

const CLOSED = /^[)\]}"'`]+$/;

/** The number of suggestions so far. */
let made = 0;

/**
 * The text suggested for a cursor position, and what the user has seen of it. States: growing, done. `grow` extends it
 * until `finish`; afterwards the text does not change.
 */
export class Suggestion {
  /** `text`: the first part of it. */
  constructor(
    position: IPosition,
    public text = ''
  ) {
    this._before = position.text.slice(0, position.offset);
    this._after = position.text.slice(position.offset);
  }

  trigger: Trigger = 'automatic';
  /** Identifies it to the completer. */
  readonly token = String(++made);
  /** The server's name for its response. */
  id = '';
  shown = false;
  shownAt: number | null = null;
  /** The `id` for which the server was notified that it is shown. */
  reportedAs = '';
  /** Whether its request timed out without a text. */
  isTimedOut = false;
  /** The import lines that it needs and that the notebook lacked. */
  needs: readonly string[] = [];
  /** The number of characters at its end that are typed as keys when it is accepted: an opening bracket and a quote. */
  opens = 0;
  /** The table of the kernel whose column it names at the cursor. */
  table?: string;
  /** Whether it was read from the kernel or its folder: it is not sent, unless the user accepts it. */
  isRead = false;
  done = false;
  /** Whether a received text did not continue the previous one; the next explicit request shows it. */
  hasDropped = false;

  /** The import lines that have still to be inserted. */
  get imports(): readonly string[] {
    return this.needs.filter(line => !this._added.has(line));
  }

  /** The signs with which an editor closes the brackets and quotes at its end. */
  get closers(): string {
    const opened = [...this.text.slice(this.text.length - this.opens)];
    return opened
      .map(sign => CLOSERS.get(sign))
      .reverse()
      .join('');
  }

  /** Start of the line that it begins on. */
  get from(): number {
    return lineStart(this._before, this._before.length);
  }

  stateAt(position: IPosition): ICurrent {
    const { trigger, done, shown, hasDropped } = this;
    const hasRest = Boolean(this.rest(position));
    const [isHere, isUsedUp] = [this.isFor(position), this.isUsedUpAt(position)];
    return { trigger, done, shown, hasDropped, isHere, hasRest, isUsedUp };
  }

  /** Whether it was requested for exactly this position. */
  isFor(position: IPosition): boolean {
    return position.offset === this._before.length && position.text === this._before + this._after;
  }

  /** Whether all of its text so far has been typed or accepted, and no more than that. */
  isUsedUpAt(position: IPosition): boolean {
    const before = this._before + this.text;
    return this.text !== '' && position.offset === before.length && position.text === before + this._after;
  }

  /** Extend it by a frame of its request. */
  receive({ id, text, imports, opens = '', table, read, finish_reason }: ICompletionFrame): void {
    this.id = id;
    this.isTimedOut = finish_reason === 'deadline' && !text;
    this.grow(text + opens, imports, opens.length);
    this.table = table;
    this.isRead = read === true;
  }

  /** Extend it. The shown text never changes, so a text that does not continue it is dropped. */
  grow(text: string, imports: readonly string[] = [], opens = 0): void {
    if (!this.done && text.startsWith(this.text)) {
      this.text = text;
      this.needs = imports;
      this.opens = opens;
      this._wake();
    } else if (!this.done && !this.text.startsWith(text)) {
      this.hasDropped = true;
    }
  }

  /** Import lines were inserted above it. */
  moveAfter({ at, text }: IInsertion): void {
    this._before = insertInto(this._before, { at, text });
    text.split('\n').forEach(line => this._added.add(line.trim()));
  }

  finish(): void {
    this.done = true;
    this._wake();
  }

  /** Return its rest at a position; empty: all of it so far was typed; `null`: the text there differs. */
  rest(position: IPosition): string | null {
    if (!position.text.startsWith(this._before) || position.offset < this._before.length) {
      return null;
    }
    const typed = position.text.slice(this._before.length, position.offset);
    const remainder = position.text.slice(position.offset);
    if (!remainder.endsWith(this._after)) {
      return null;
    }
    // An editor may have closed a bracket or a quote that was typed.
    const closed = remainder.slice(0, remainder.length - this._after.length);
    if (closed && !CLOSED.test(closed)) {
      return null;
    }
    if (!this.text.startsWith(typed)) {
      return !this.done && typed.startsWith(this.text) ? '' : null;
    }
    const rest = this.text.slice(typed.length);
    return closed ? rest.slice(0, balancedLength(rest, closed, true)) : rest;
  }

  /** Return how many characters at the end of its rest are typed as keys. */
  opensIn(rest: string): number {
    return this.text.endsWith(rest) ? Math.min(this.opens, rest.length) : 0;
  }

  /** Return whether this dismissed suggestion hides a text at a position on its line: its rest, a prefix of it or an extension. */
  hides(text: string, position: IPosition): boolean {
    const rest = this.restOnLine(position);
    return rest !== '' && (rest.startsWith(text) || text.startsWith(rest));
  }

  /** Return its rest at a position on the line on which it begins, else ''. */
  restOnLine(position: IPosition): string {
    const typed = position.text.slice(this._before.length, position.offset);
    return typed.includes('\n') ? '' : (this.rest(position) ?? '');
  }

  /**
   * Return how much was typed at a position, and how much of that is a prefix of it; 0 if the cursor has moved back.
   * `null`: the text around it has changed.
   */
  typedAt(position: IPosition): { length: number; same: number } | null {
    const head = position.text.slice(0, position.offset);
    if (!head.startsWith(this._before)) {
      return this._before.startsWith(head) ? { length: 0, same: 0 } : null;
    }
    const typed = head.slice(this._before.length);
    return position.text.endsWith(this._after)
      ? { length: typed.length, same: commonHead(typed, this.text) }
      : null;
  }

  /** Wait until it has grown or is done. */
  changed(): Promise<void> {
    return this.done ? Promise.resolve() : new Promise(resolve => this._waiting.push(resolve));
  }

  /** Wait until it is done. */
  async finished(): Promise<void> {
    while (!this.done) {
      await this.changed();
    }
  }

  private _wake(): void {
    const waiting = this._waiting;
    this._waiting = [];
    waiting.forEach(resolve => resolve());
  }

  private _before: string;
  private _after: string;
  private readonly _added = new Set<string>();
  private _waiting: (() => void)[] = [];
}

function commonHead(one: string, other: string): number {
  let at = 0;
  while (at < one.length && at < other.length && one[at] === other[at]) {
    at++;
  }
  return at;
}

/** The first word of a suggestion: white space, then a name or number with the signs before it and a comma, or signs. */
export function firstWord(text: string): string {
  return /^\s*([^\p{L}\p{N}_\s]*[\p{L}\p{N}_]+,?|[^\p{L}\p{N}_\s]+)?/u.exec(text)?.[0] || text;
}

/** The first line of a suggestion that is not blank. */
export function firstLine(text: string): string {
  return /^\s*[^\n]*/.exec(text)?.[0] || text;
}
