/** The tokens in the KV cache, and those of a text that must still be evaluated. */

/** Shorter runs are evaluated again; the second limit is for runs with other text before them. */
const WORTH_KEEPING = 8;
const WORTH_A_GAP = 256;

/** Cached tokens after tokens that must still be evaluated. */
interface IRun {
  at: number;
  tokens: number[];
}

export class Sequence {
  private held: number[] = [];
  private ahead: IRun | null = null;

  /**
   * `move` moves the cached keys and values of `count` positions. `suffixMark` is the marker before the text after the
   * cursor.
   */
  constructor(
    private readonly move: (from: number, to: number, count: number) => void,
    private readonly suffixMark: number
  ) {}

  /** Return the number of tokens of a text that must be evaluated. */
  left(text: readonly number[]): number {
    const kept = this.common(text);
    return text.length - kept - (this.stands(text, kept) ? (this.ahead?.tokens.length ?? 0) : 0);
  }

  /** Drop tokens that differ from a text, and return the range to evaluate next, at least its last token. */
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

  /** Append evaluated tokens. */
  grow(tokens: readonly number[]): void {
    this.held.push(...tokens);
    this.join();
  }

  /** Append the run once all tokens before it are evaluated. */
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

  /** Whether the text contains the run at its position, and tokens after it. */
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
   * Keep cached tokens that a text contains at an earlier position now: generated tokens after the markers that were
   * accepted, or the remaining tokens after the window has slid. Their values still depend on the removed tokens. The
   * text after the cursor is not kept alone, because the error would grow with each line that the cursor moves down.
   */
  private keepRun(text: readonly number[], start: number): void {
    const gap = start + ((text.length - start) >> 1); // after a slide, an outline of the omitted cells may follow
    const [here, there] = [start, gap].map(place => this.longest(text, start, place));
    const [at, from, count] = here[2] < there[2] ? there : here;
    if (count >= (at > start ? WORTH_A_GAP : WORTH_KEEPING)) {
      this.move(from, at, count);
      this.ahead = { at, tokens: text.slice(at, at + count) };
    }
  }

  /**
   * Return the longest cached run around a position of a text that was at a later position before, and does not begin
   * after the suffix marker: its new position, its old position, its length.
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
