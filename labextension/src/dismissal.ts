/** What somebody has dismissed: it stays away while they type along it, on the same line. Pure. */

import { type IPlace, Suggestion } from './suggestion';

export class Dismissal {
  /** `text` was shown at a place. */
  constructor(
    text: string,
    private readonly _place: IPlace
  ) {
    this._dismissed = new Suggestion('', _place);
    this._dismissed.grow(text);
    this._dismissed.finish();
  }

  /** Whether what was typed since is a beginning of it, on the same line. */
  holds(place: IPlace): boolean {
    return this._rest(place) !== '';
  }

  /**
   * Whether a text at a place is the one that was dismissed, or a beginning of it, or goes on behind it. However short
   * it was: while an answer is written its beginning is shown, and who dismisses that wants none of the rest either.
   */
  hides(text: string, place: IPlace): boolean {
    const rest = this._rest(place);
    return rest !== '' && (rest.startsWith(text) || text.startsWith(rest));
  }

  /** What is left of it; empty: it is over. */
  private _rest(place: IPlace): string {
    const typed = place.text.slice(this._place.offset, place.offset);
    return typed.includes('\n') ? '' : (this._dismissed.rest(place) ?? '');
  }

  private readonly _dismissed: Suggestion;
}
