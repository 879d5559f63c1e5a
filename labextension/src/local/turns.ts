/** Whose turn it is: the engine writes one answer at a time, and what nobody waits for yields to everything. */

/** Why an answer was ended, as the server words it. */
export type Ended = 'superseded' | 'yielded';

export interface ITurn {
  /** aborted where the answer is not wanted any more */
  readonly signal: AbortSignal;
  /** why it was aborted from here; null: it was not */
  readonly ended: Ended | null;
  /** resolves when the engine is free */
  readonly free: Promise<void>;
  /** to be called in any case, once the engine is left alone */
  leave(): void;
}

interface IWaiting {
  client: string;
  awaited: boolean;
  stop: AbortController;
}

export class Turns {
  /** Line up. A newer request of an editor ends the older one; `awaited`: somebody waits for it. */
  enter(client: string, awaited: boolean, signal: AbortSignal): ITurn {
    const stop = new AbortController();
    for (const other of this._waiting) {
      if (!awaited && other.awaited) {
        stop.abort('yielded' satisfies Ended);
      } else if (awaited && !other.awaited) {
        other.stop.abort('yielded' satisfies Ended);
      } else if (client && other.client === client) {
        other.stop.abort('superseded' satisfies Ended);
      }
    }
    const own = { client, awaited, stop };
    const free = this._last;
    let left: () => void = () => undefined;
    this._last = new Promise(resolve => (left = resolve));
    this._waiting.add(own);
    return {
      signal: AbortSignal.any([signal, stop.signal]),
      get ended() {
        return stop.signal.aborted ? (stop.signal.reason as Ended) : null;
      },
      free,
      leave: () => {
        this._waiting.delete(own);
        void free.then(left);
      }
    };
  }

  private readonly _waiting = new Set<IWaiting>();
  private _last: Promise<void> = Promise.resolve();
}
