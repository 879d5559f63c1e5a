/** Which tokens were read, and so what of a text has to be read still. */

/** A part of a text: from, to. */
export type Span = readonly [number, number];

/** A shorter suffix is read again. */
const WORTH_MOVING = 24;
/** What stands further behind is read again if it is shorter, or, with other text before it, than the latter. */
const WORTH_KEEPING = 8;
const WORTH_A_GAP = 256;
/** A suffix is read again once so many tokens before it have come or gone; until then answers hardly change. */
const MOVED_LIMIT = 192;

interface ISuffix {
  at: number;
  tokens: number[];
}

export class Sequence {
  private held: number[] = [];
  /** A suffix that stands behind what is still to be read before it. */
  private ahead: ISuffix | null = null;
  private moved = 0; // tokens that came or went before a suffix since it was read
  private movedAt = Infinity; // from where on that is so

  /** `move` moves what was read at `count` positions from one place to another. */
  constructor(private readonly move: (from: number, to: number, count: number) => void) {}

  /** How many tokens of a text are to be read. */
  left(text: readonly number[]): number {
    const kept = this.common(text);
    return text.length - kept - (this.stands(text, kept) ? (this.ahead?.tokens.length ?? 0) : 0);
  }

  /** Forget what a text does not share, and return what of it is to be read next; at least its last token. */
  next(text: readonly number[], suffix?: Span): { start: number; stop: number } {
    const start = Math.min(this.common(text), text.length - 1);
    if (suffix) {
      this.moveSuffix(text, start, suffix);
    }
    if (start > 0 && !this.stands(text, start)) {
      this.keepRun(text, start);
    }
    if (!this.stands(text, start)) {
      this.ahead = null;
      if (start <= this.movedAt) {
        this.moved = 0;
        this.movedAt = Infinity;
      }
    }
    this.held.length = start;
    this.join();
    return { start: this.held.length, stop: this.ahead?.at ?? text.length };
  }

  /** Note that tokens were read behind what is held. */
  grow(tokens: readonly number[]): void {
    this.held.push(...tokens);
    this.join();
  }

  clear(): void {
    this.held = [];
    this.ahead = null;
    this.moved = 0;
    this.movedAt = Infinity;
  }

  /** Hold the suffix, too, once all before it has been read. */
  private join(): void {
    if (this.ahead?.at === this.held.length) {
      this.held.push(...this.ahead.tokens);
      this.ahead = null;
    }
  }

  private common(text: readonly number[]): number {
    const most = Math.min(text.length, this.held.length);
    let count = 0;
    while (count < most && text[count] === this.held[count]) {
      count++;
    }
    return count;
  }

  /** Whether the suffix stands where a text has it, with what the text ends with behind it. */
  private stands(text: readonly number[], start: number): boolean {
    const { ahead } = this;
    return (
      ahead !== null &&
      start <= ahead.at &&
      ahead.at + ahead.tokens.length < text.length &&
      matches(text, ahead.at, ahead.tokens)
    );
  }

  /** Move a suffix that was read to where it stands now, if what differs stands before it. */
  private moveSuffix(text: readonly number[], start: number, [at, stop]: Span): void {
    if (start > at || stop - at < WORTH_MOVING || this.stands(text, start)) {
      return;
    }
    const tokens = text.slice(at, stop);
    const from = this.find(tokens, start);
    const moved = this.moved + Math.max(Math.abs(from - at), at - start);
    if (from < 0 || moved > MOVED_LIMIT) {
      return;
    }
    if (from !== at) {
      this.move(from, at, tokens.length);
    }
    this.ahead = { at, tokens };
    this.moved = moved;
    this.movedAt = this.movedAt < start ? this.movedAt : at;
  }

  /**
   * Keep what a text goes on with, if that was read further behind: what was written behind the marks and is taken
   * now, or what is left once the window has slid. It is as if it had been read with what has gone.
   */
  private keepRun(text: readonly number[], start: number): void {
    const gap = start + ((text.length - start) >> 1); // after a slide there may be an outline of what is left out
    const [here, there] = [start, gap].map(place => this.longest(text, start, place));
    const [at, from, count] = here[2] < there[2] ? there : here;
    if (count >= (at > start ? WORTH_A_GAP : WORTH_KEEPING)) {
      this.move(from, at, count);
      this.ahead = { at, tokens: text.slice(at, at + count) };
      this.moved = 0;
      this.movedAt = Infinity;
    }
  }

  /** The longest run around a place of a text that was read further behind: where, from where, how many. */
  private longest(text: readonly number[], start: number, place: number): [number, number, number] {
    let best: [number, number, number] = [start, start, 0];
    for (let behind = place + 1; behind < this.held.length; behind++) {
      let [before, count] = [0, 0];
      while (place + count < text.length - 1 && text[place + count] === this.held[behind + count]) {
        count++;
      }
      while (count && place - before > start && text[place - before - 1] === this.held[behind - before - 1]) {
        before++;
      }
      if (count + before > best[2]) {
        best = [place - before, behind - before, count + before];
      }
    }
    return best;
  }

  /** Where tokens stand behind what is kept; −1: nowhere. */
  private find(tokens: readonly number[], start: number): number {
    if (this.ahead) {
      const same = this.ahead.tokens.length === tokens.length && matches(tokens, 0, this.ahead.tokens);
      return same ? this.ahead.at : -1;
    }
    for (let from = start; from + tokens.length <= this.held.length; from++) {
      if (matches(this.held, from, tokens)) {
        return from;
      }
    }
    return -1;
  }
}

function matches(text: readonly number[], at: number, tokens: readonly number[]): boolean {
  return at + tokens.length <= text.length && tokens.every((token, index) => text[at + index] === token);
}
