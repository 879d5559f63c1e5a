/** The tokens in the KV cache, and those of a text that must still be evaluated. */

/** The minimum length of a cached run to move instead of evaluating it again; the second if a gap remains before it. */
const WORTH_KEEPING = 8;
const WORTH_A_GAP = 256;

/** Cached tokens after a gap that is not evaluated yet. */
interface IRun {
  at: number;
  tokens: number[];
}

export class Sequence {
  private held: number[] = [];
  private ahead: IRun | null = null;

  /**
   * `move` moves `count` cached positions. `suffixMark` is the marker before the text after the cursor.
   */
  constructor(
    private readonly move: (from: number, to: number, count: number) => void,
    private readonly suffixMark: number
  ) {}

  /** The number of tokens of a text to evaluate. */
  left(text: readonly number[]): number {
    const kept = this.common(text);
    return text.length - kept - (this.stands(text, kept) ? (this.ahead?.tokens.length ?? 0) : 0);
  }

  /** Drop the cached tokens that a text does not share, and return its next range to evaluate: at least its last token. */
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

  /** Append the run once the gap before it is evaluated. */
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

  /** Whether the run matches a text at its position, before the end of the text. */
  private stands(text: readonly number[], start: number): boolean {
    const { ahead } = this;
    return (
      ahead !== null &&
      start <= ahead.at &&
      ahead.at + ahead.tokens.length < text.length &&
      ahead.tokens.every((token, index) => text[ahead.at + index] === token)
    );
  }

  /**
   * Reuse a run of the text that was evaluated at later positions: an accepted suggestion after the markers, or the
   * remaining text after the window has slid. It stays conditioned on the removed text. The text after the cursor is not
   * reused alone: its error would grow with each line that the cursor moves down.
   */
  private keepRun(text: readonly number[], start: number): void {
    const gap = start + ((text.length - start) >> 1); // after a slide, an outline may precede the run
    const [here, there] = [start, gap].map(place => this.longest(text, start, place));
    const [at, from, count] = here[2] < there[2] ? there : here;
    if (count >= (at > start ? WORTH_A_GAP : WORTH_KEEPING)) {
      this.move(from, at, count);
      this.ahead = { at, tokens: text.slice(at, at + count) };
    }
  }

  /**
   * The longest run around a position that is cached at later positions and does not begin after the suffix marker: its
   * target, source and length.
   */
  private longest(text: readonly number[], start: number, place: number): [number, number, number] {
    const mark = text.indexOf(this.suffixMark);
    const last = mark < 0 ? text.length : mark;
    let best: [number, number, number] = [start, start, 0];
    for (let later = place + 1; later < this.held.length; later++) {
      let [before, count] = [0, 0];
      while (place + count < text.length - 1 && text[place + count] === this.held[later + count]) {
        count++;
      }
      while (count && place - before > start && text[place - before - 1] === this.held[later - before - 1]) {
        before++;
      }
      if (count + before > best[2] && place - before <= last) {
        best = [place - before, later - before, count + before];
      }
    }
    return best;
  }
}
