/** Suggestions that were made: who deletes back or returns to a place is answered without asking. Pure. */

import type { IRequest } from './wire';
import type { IPlace, Suggestion } from './suggestion';

const PLACES = 4;
const SUGGESTIONS = 16;

/** A suggestion that is finished, and the server's name for it. */
export interface ICached {
  suggestion: Suggestion;
  id: string;
}

/** All that an answer depends on, except the text of the cell itself: a suggestion looks after that. */
function contextKey(body: IRequest): string {
  const cells = body.cells.map((cell, index) => (index === body.active ? null : cell));
  return JSON.stringify({ ...body, cells, offset: 0 });
}

export class SuggestionCache {
  /** Keep a suggestion with what it was asked with. */
  remember(body: IRequest, made: ICached): void {
    const key = contextKey(body);
    const known = this._made.get(key) ?? [];
    this._made.delete(key);
    this._made.set(key, [made, ...known].slice(0, SUGGESTIONS));
    for (const oldest of this._made.keys()) {
      if (this._made.size <= PLACES) {
        break;
      }
      this._made.delete(oldest);
    }
  }

  /** Find one that goes on from a place, first of those that were made there. */
  recall(body: IRequest, place: IPlace): ICached | null {
    const known = this._made.get(contextKey(body)) ?? [];
    return (
      known.find(made => made.suggestion.isFor(place)) ??
      known.find(made => made.suggestion.rest(place)) ??
      null
    );
  }

  /** Forget all. */
  clear(): void {
    this._made.clear();
  }

  private _made = new Map<string, ICached[]>();
}
