/** The tokens in the KV cache, and those of a text that must still be evaluated. */

/** The minimum length of a cached run to move instead of evaluating it again. */
const WORTH_KEEPING = 8;

export class Sequence {
  private held: number[] = [];

  /**
   * `move` moves `count` cached positions. `suffixMark` is the marker before the text after the cursor.
   */
  constructor(
    private readonly move: (from: number, to: number, count: number) => void,
    private readonly suffixMark: number
  ) {}

  /** The number of tokens of a text to evaluate. */
  left(text: readonly number[]): number {
    return text.length - this.common(text);
  }

  /** Drop the cached tokens that a text does not share, and return where to evaluate it from: at least its last token. */
  next(text: readonly number[]): number {
    const start = Math.min(this.common(text), text.length - 1);
    const kept = start + (start > 0 ? this.keepRun(text, start) : 0);
    this.held = text.slice(0, kept);
    return kept;
  }

  /** Append evaluated tokens. */
  grow(tokens: readonly number[]): void {
    this.held.push(...tokens);
  }

  private common(text: readonly number[]): number {
    const most = Math.min(text.length, this.held.length);
    let count = 0;
    while (count < most && text[count] === this.held[count]) {
      count++;
    }
    return count;
  }

  /**
   * Move the longest run of the text from `start` on that was evaluated at later positions, and return its length: an
   * accepted suggestion after the markers, or the remaining text after the window has slid. It stays conditioned on the
   * removed text. The text after the cursor is not reused alone: its error would grow with each line that the cursor moves
   * down.
   */
  private keepRun(text: readonly number[], start: number): number {
    const mark = text.indexOf(this.suffixMark);
    let [from, most] = [0, WORTH_KEEPING - 1];
    for (let later = start + 1; later < this.held.length && (mark < 0 || start <= mark); later++) {
      let count = 0;
      while (start + count < text.length - 1 && text[start + count] === this.held[later + count]) {
        count++;
      }
      if (count > most) {
        [from, most] = [later, count];
      }
    }
    if (!from) {
      return 0;
    }
    this.move(from, start, most);
    return most;
  }
}
