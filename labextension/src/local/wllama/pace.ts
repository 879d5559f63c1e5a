/** How fast a model is in this browser, and what follows from it. Pure. */

/** What was measured of one text. */
export interface IMeasured {
  prompt_n: number;
  prompt_ms: number;
  predicted_n: number;
  predicted_ms: number;
}

/** Tokens a second: a model that writes fewer would still be writing when the next key is typed. */
export const FLUENT = 25;
/** Seconds that reading a whole prompt may take. JupyterLab waits 30 for an answer. */
const PATIENCE = 8;
const CHARACTERS = 3; // of code, to a token
/** Characters of the context that are not for what stands before the cursor: the text, and what stands behind. */
const OTHERS = 448;
const [LEAST, MOST] = [512, 4096];
/** Tokens: fewer say little. */
const ENOUGH = [16, 4];

export class Pace {
  /** Whether it is too slow to be asked at each key. */
  get onDemand(): boolean {
    return this._written < FLUENT;
  }

  /** How many characters a prompt and its text may have, so that somebody may wait for it. */
  get contextSize(): number {
    const before = this._read * PATIENCE * CHARACTERS;
    return Math.round(Math.min(MOST, Math.max(LEAST, before + OTHERS)));
  }

  note({ prompt_n, prompt_ms, predicted_n, predicted_ms }: IMeasured): void {
    if (prompt_n >= ENOUGH[0] && prompt_ms > 0) {
      this._read = (1000 * prompt_n) / prompt_ms;
    }
    // The first of them was written with the last of the prompt.
    if (predicted_n > ENOUGH[1] && predicted_ms > 0) {
      this._written = (1000 * (predicted_n - 1)) / predicted_ms;
    }
  }

  private _read = 0;
  private _written = 0;
}
