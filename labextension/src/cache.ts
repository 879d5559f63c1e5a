/** The cache of suggestions for recent cursor positions. Pure. */

import type { IRequest } from './wire';
import type { IPosition, Suggestion } from './suggestion';

const POSITIONS = 4;
const SUGGESTIONS = 16;

/** A suggestion that is done, and the server's name for it. */
export interface ICached {
  suggestion: Suggestion;
  id: string;
}

/** The cache key: the request without the text of the active cell, which `Suggestion.rest` compares. */
function contextKey(body: IRequest): string {
  const cells = body.cells.map((cell, index) => (index === body.active ? null : cell));
  return JSON.stringify({ ...body, cells, offset: 0, sequence: 0 });
}

export class SuggestionCache {
  /** Cache the suggestion that answered a request. */
  remember(body: IRequest, made: ICached): void {
    const key = contextKey(body);
    const known = this._made.get(key) ?? [];
    this._made.delete(key);
    this._made.set(key, [made, ...known].slice(0, SUGGESTIONS));
    if (this._made.size > POSITIONS) {
      this._made.delete([...this._made.keys()][0]);
    }
  }

  /** Return a cached suggestion for a position, preferably one that was requested there. */
  lookup(body: IRequest, position: IPosition): ICached | null {
    const known = this._made.get(contextKey(body)) ?? [];
    return (
      known.find(made => made.suggestion.isFor(position)) ??
      known.find(made => made.suggestion.rest(position)) ??
      null
    );
  }

  clear(): void {
    this._made.clear();
  }

  private _made = new Map<string, ICached[]>();
}
