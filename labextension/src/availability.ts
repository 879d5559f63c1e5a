/**
 * Whether the server may be asked. After any failure it is left alone for a while that doubles with each failure;
 * then its health is looked at, and only when that is good is it asked again.
 */

import { type ISignal, Signal } from '@lumino/signaling';
import type { IHealth } from './wire';
import { AnswerError, type ITrouble, troubleOf } from './trouble';

/** Milliseconds between looks while all is well; also the longest wait between looks while it is not. */
export const STEADY = 5000;
export const FIRST_WAIT = 500;
export const LOADING = 700;
/** A longer Retry-After than this is not obeyed. */
export const LONGEST = 60000;
/** Without an answer for so long, the server counts as hanging. */
export const PATIENCE = 5000;

export interface IState {
  /** Whether it may be asked now. */
  readonly open: boolean;
  /** What the server said of itself last; `null` when it could not. */
  readonly health: IHealth | null;
  /** What went wrong last, until something goes right. */
  readonly trouble: ITrouble | null;
  /** Failures since something went right. */
  readonly failures: number;
  /** Milliseconds until its health is looked at. */
  readonly wait: number;
}

export type Event =
  | { kind: 'answered' }
  | { kind: 'failed'; trouble: ITrouble }
  | { kind: 'health'; health: IHealth }
  | { kind: 'no health'; trouble: ITrouble };

export const START: IState = { open: true, health: null, trouble: null, failures: 0, wait: STEADY };

/** Whether a request would be answered. A server that loads its model at the first request waits for that one. */
function canAnswer(health: IHealth | null): boolean {
  return health !== null && (health.ready || health.phase === 'empty');
}

function closed(state: IState, health: IHealth | null, trouble: ITrouble): IState {
  const wait = Math.min(STEADY, FIRST_WAIT * 2 ** state.failures);
  return {
    open: false,
    health,
    trouble,
    failures: state.failures + 1,
    wait: Math.max(wait, Math.min(LONGEST, trouble.retryAfter))
  };
}

/** The state after an event. Pure. */
export function after(state: IState, event: Event): IState {
  switch (event.kind) {
    case 'answered':
      return { ...state, open: true, trouble: null, failures: 0, wait: STEADY };
    case 'failed':
      // A request from before the first failure says nothing new.
      return state.open ? closed(state, state.health, event.trouble) : state;
    case 'no health':
      return closed(state, null, event.trouble);
    case 'health': {
      const { health } = event;
      if (health.phase === 'loading') {
        return { ...state, open: false, health, trouble: null, wait: LOADING };
      }
      if (!canAnswer(health)) {
        return closed(state, health, { kind: 'told', message: health.reason ?? '', retryAfter: 0 });
      }
      if (!canAnswer(state.health)) {
        return { open: true, health, trouble: null, failures: 0, wait: STEADY };
      }
      // It was well all along and yet a request failed: the next request shows whether that is over.
      // By the next look, what went wrong is no news any more.
      return { ...state, open: true, health, trouble: state.open ? null : state.trouble, wait: STEADY };
    }
  }
}

export interface IChange {
  before: IState;
  now: IState;
}

export class Availability {
  /** `visible` tells whether anybody could see the difference: nobody looks for a hidden page. */
  constructor(
    private readonly _health: (signal: AbortSignal) => Promise<IHealth>,
    private readonly _visible: () => boolean = () => true
  ) {}

  get state(): IState {
    return this._state;
  }

  get open(): boolean {
    return this._state.open;
  }

  get changed(): ISignal<this, IChange> {
    return this._changed;
  }

  /** A request was answered. */
  answered(): void {
    this._take({ kind: 'answered' });
  }

  /** A request failed. */
  failed(reason: unknown): void {
    // What a look finds that began before the failure is out of date.
    this._looking?.abort.abort();
    this._looking = null;
    this._take({ kind: 'failed', trouble: troubleOf(reason) });
  }

  /** Look at the server's health now. */
  look(): Promise<void> {
    clearTimeout(this._timer);
    this._looking ??= this._look();
    return this._looking.found;
  }

  dispose(): void {
    this._disposed = true;
    clearTimeout(this._timer);
    this._looking?.abort.abort();
    Signal.clearData(this);
  }

  private _look(): ILook {
    const abort = new AbortController();
    const find = async (): Promise<void> => {
      const patience = setTimeout(() => abort.abort(new AnswerError('silent')), PATIENCE);
      const event: Event = await Promise.race([this._health(abort.signal), aborted(abort.signal)]).then(
        health => ({ kind: 'health', health }),
        (reason: unknown) => ({ kind: 'no health', trouble: troubleOf(reason) })
      );
      clearTimeout(patience);
      if (this._looking?.abort === abort) {
        this._looking = null;
        this._take(event);
      }
    };
    return { abort, found: Promise.resolve().then(find) };
  }

  private _take(event: Event): void {
    const before = this._state;
    const now = (this._state = after(before, event));
    clearTimeout(this._timer);
    if (this._disposed) {
      return;
    }
    this._timer = setTimeout(() => {
      // A page that is hidden looks when it is shown.
      if (this._visible()) {
        void this.look();
      }
    }, now.wait);
    this._changed.emit({ before, now });
  }

  private readonly _changed = new Signal<this, IChange>(this);
  private _state = START;
  private _looking: ILook | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _disposed = false;
}

interface ILook {
  abort: AbortController;
  found: Promise<void>;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
