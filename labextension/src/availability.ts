/**
 * Whether the server may be asked. After any failure it is left alone for a while that doubles with each failure;
 * then its health is checked, and only when that is good is it asked again.
 */

import { Signal } from '@lumino/signaling';
import type { IEngineHealth } from './client';
import { AnswerError, type ITrouble, troubleOf } from './trouble';

/** Milliseconds between checks while all is well; also the longest wait between checks while it is not. */
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
  readonly health: IEngineHealth | null;
  /** The model it named when it last could. */
  readonly model: string;
  /** What went wrong last, until something goes right. */
  readonly trouble: ITrouble | null;
  /** Failures since something went right. */
  readonly failures: number;
  /** Milliseconds until its health is checked. */
  readonly wait: number;
}

export type Event =
  | { kind: 'restarted'; trouble: ITrouble | null }
  | { kind: 'answered' }
  | { kind: 'failed'; trouble: ITrouble }
  | { kind: 'health'; health: IEngineHealth }
  | { kind: 'no health'; trouble: ITrouble };

export const START: IState = {
  open: true,
  health: null,
  model: '',
  trouble: null,
  failures: 0,
  wait: STEADY
};

/** Whether a request would be answered. A server that loads its model at the first request waits for that one. */
function canAnswer(health: IEngineHealth | null): boolean {
  return health !== null && (health.ready || health.phase === 'empty');
}

function closed(state: IState, health: IEngineHealth | null, trouble: ITrouble): IState {
  const wait = Math.min(STEADY, FIRST_WAIT * 2 ** state.failures);
  return {
    open: false,
    health,
    model: health?.model ?? state.model,
    trouble,
    failures: state.failures + 1,
    wait: Math.max(wait, Math.min(LONGEST, trouble.retryAfter))
  };
}

/** The state after an event. Pure. */
export function after(state: IState, event: Event): IState {
  switch (event.kind) {
    case 'restarted':
      return event.trouble ? closed(START, null, event.trouble) : START;
    case 'answered':
      return { ...state, open: true, trouble: null, failures: 0, wait: STEADY };
    case 'failed':
      // A request from before the first failure says nothing new.
      return state.open ? closed(state, state.health, event.trouble) : state;
    case 'no health':
      return closed(state, null, event.trouble);
    case 'health': {
      const { health } = event;
      const { model } = health;
      if (health.phase === 'loading') {
        return { ...state, open: false, health, model, trouble: null, wait: LOADING };
      }
      if (!canAnswer(health)) {
        return closed(state, health, { kind: 'told', message: health.reason ?? '', retryAfter: 0 });
      }
      if (!canAnswer(state.health)) {
        return { open: true, health, model, trouble: null, failures: 0, wait: STEADY };
      }
      // It was well all along and yet a request failed: the next request shows whether that is over.
      // By the next check, what went wrong is no news any more.
      return {
        ...state,
        open: true,
        health,
        model,
        trouble: state.open ? null : state.trouble,
        wait: STEADY
      };
    }
  }
}

export interface IChange {
  before: IState;
  now: IState;
}

/** Whether the server has another model now, or says something else of the one it has. */
export function servesAnother({ before, now }: IChange): boolean {
  return now.health !== null && (now.model !== before.model || now.health.phase !== before.health?.phase);
}

export class Availability {
  /** `visible` tells whether anybody could see the difference: nothing is checked for a hidden page. */
  constructor(
    private readonly _health: (signal: AbortSignal) => Promise<IEngineHealth>,
    private readonly _visible: () => boolean = () => true
  ) {}

  state = START;

  get open(): boolean {
    return this.state.open;
  }

  readonly changed = new Signal<this, IChange>(this);

  /** A request was answered. */
  answered(): void {
    this._take({ kind: 'answered' });
  }

  /** A request failed. */
  failed(reason: unknown): void {
    this._dropCheck();
    this._take({ kind: 'failed', trouble: troubleOf(reason) });
  }

  /** The server told of its health in the answer to a request. */
  told(health: IEngineHealth): void {
    this._dropCheck();
    this._take({ kind: 'health', health });
  }

  /** Check the server's health now. */
  check(): Promise<void> {
    clearTimeout(this._timer);
    this._checking ??= this._check();
    return this._checking.finished;
  }

  /** Another engine is wanted, of which the one before says nothing; `reason`: why it cannot be had. */
  restart(reason?: unknown): void {
    this._dropCheck();
    this._take({ kind: 'restarted', trouble: reason === undefined ? null : troubleOf(reason) });
  }

  /** Wait until the server is not loading a model, or cannot be asked; return the state then. */
  async loaded(): Promise<IState> {
    while (this.state.health?.phase === 'loading') {
      await new Promise<void>(resolve => {
        const once = (): void => {
          this.changed.disconnect(once);
          resolve();
        };
        this.changed.connect(once);
      });
    }
    return this.state;
  }

  dispose(): void {
    this._disposed = true;
    clearTimeout(this._timer);
    this._checking?.abort.abort();
    Signal.clearData(this);
  }

  /** What a check finds that began before something happened is out of date. */
  private _dropCheck(): void {
    this._checking?.abort.abort();
    this._checking = null;
  }

  private _check(): ICheck {
    const abort = new AbortController();
    const run = async (): Promise<void> => {
      const patience = setTimeout(() => abort.abort(new AnswerError('silent')), PATIENCE);
      const event: Event = await Promise.race([this._health(abort.signal), aborted(abort.signal)]).then(
        health => ({ kind: 'health', health }),
        (reason: unknown) => ({ kind: 'no health', trouble: troubleOf(reason) })
      );
      clearTimeout(patience);
      if (this._checking?.abort === abort) {
        this._checking = null;
        this._take(event);
      }
    };
    return { abort, finished: Promise.resolve().then(run) };
  }

  private _take(event: Event): void {
    const before = this.state;
    const now = (this.state = after(before, event));
    clearTimeout(this._timer);
    if (this._disposed) {
      return;
    }
    this._timer = setTimeout(() => {
      // A page that is hidden checks when it is shown.
      if (this._visible()) {
        void this.check();
      }
    }, now.wait);
    this.changed.emit({ before, now });
  }

  private _checking: ICheck | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _disposed = false;
}

interface ICheck {
  abort: AbortController;
  finished: Promise<void>;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
