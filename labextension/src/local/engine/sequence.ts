/** The tokens in the KV cache, and those of a text that must still be evaluated. */

/** What stands further behind is read again if it is shorter, or, with other text before it, than the latter. */
const WORTH_KEEPING = 8;
const WORTH_A_GAP = 256;

/** Tokens that stand behind what is still to be read before them. */
interface IRun {
  at: number;
  tokens: number[];
}

export class Sequence {
  private held: number[] = [];
  private ahead: IRun | null = null;

  /**
   * `move` moves what was read at `count` positions from one place to another. `suffixMark` is the token behind which
   * stands what follows the cursor.
   */
  constructor(
    private readonly move: (from: number, to: number, count: number) => void,
    private readonly suffixMark: number
  ) {}

  /** How many tokens of a text are to be read. */
  left(text: readonly number[]): number {
    const kept = this.common(text);
    return text.length - kept - (this.stands(text, kept) ? (this.ahead?.tokens.length ?? 0) : 0);
  }

  /** Forget what a text does not share, and return what of it is to be read next; at least its last token. */
  next(text: readonly number[]): { start: number; stop: number } {
    const start = Math.min(this.common(text), text.length - 1);
    if (start > 0 && !this.stands(text, start)) {
      this.keepRun(text, start);
    }
    if (!this.stands(text, start)) {
      this.ahead = null;
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

  /** Hold the run, too, once all before it has been read. */
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

  /** Whether the run stands where a text has it, with what the text ends with behind it. */
  private stands(text: readonly number[], start: number): boolean {
    const { ahead } = this;
    return (
      ahead !== null &&
      start <= ahead.at &&
      ahead.at + ahead.tokens.length < text.length &&
      matches(text, ahead.at, ahead.tokens)
    );
  }

  /**
   * Keep what a text goes on with, if that was read further behind: what was written behind the marks and is taken
   * now, or what is left once the window has slid. It is as if it had been read with what has gone. What follows the
   * cursor is not kept by itself: each line that the cursor moves down would leave it further from what is right.
   */
  private keepRun(text: readonly number[], start: number): void {
    const gap = start + ((text.length - start) >> 1); // after a slide there may be an outline of what is left out
    const [here, there] = [start, gap].map(place => this.longest(text, start, place));
    const [at, from, count] = here[2] < there[2] ? there : here;
    if (count >= (at > start ? WORTH_A_GAP : WORTH_KEEPING)) {
      this.move(from, at, count);
      this.ahead = { at, tokens: text.slice(at, at + count) };
    }
  }

  /**
   * The longest run around a place of a text that was read further behind, and does not begin behind the suffix mark:
   * where, from where, how many.
   */
  private longest(text: readonly number[], start: number, place: number): [number, number, number] {
    const mark = text.indexOf(this.suffixMark);
    const last = mark < 0 ? text.length : mark;
    let best: [number, number, number] = [start, start, 0];
    for (let behind = place + 1; behind < this.held.length; behind++) {
      let [before, count] = [0, 0];
      while (place + count < text.length - 1 && text[place + count] === this.held[behind + count]) {
        count++;
      }
      while (count && place - before > start && text[place - before - 1] === this.held[behind - before - 1]) {
        before++;
      }
      if (count + before > best[2] && place - before <= last) {
        best = [place - before, behind - before, count + before];
      }
    }
    return best;
  }
}

function matches(text: readonly number[], at: number, tokens: readonly number[]): boolean {
  return at + tokens.length <= text.length && tokens.every((token, index) => text[at + index] === token);
}
