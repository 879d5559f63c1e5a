/**
 * A circuit breaker for requests. After a failure, no requests are sent until a health check succeeds; the delay before
 * the check doubles with each failure.
 */

import { signalToPromise } from '@jupyterlab/coreutils';
import { Signal } from '@lumino/signaling';
import { delayAfter } from './backoff';
import type { IEngineHealth } from './client';
import { ResponseError, type IRequestError, requestErrorOf } from './requesterror';

/** Milliseconds between checks while the server is healthy; also the maximum backoff. */
export const MAX_POLL_INTERVAL = 5000;
export const FIRST_WAIT = 500;
export const LOADING = 700;
/** The maximum Retry-After in milliseconds. */
export const MAX_RETRY_DELAY = 60000;
/** Milliseconds without an action of the user after which a page is at rest. */
export const REST = 30_000;
/** The timeout of a health check in milliseconds. */
export const RESPONSE_TIMEOUT = 5000;

export interface IState {
  /** Whether requests may be sent. */
  readonly open: boolean;
  /** The last health report; `null` if the last check failed. */
  readonly health: IEngineHealth | null;
  /** The model in the last health report. */
  readonly model: string;
  /** The last error, until a request or check succeeds. */
  readonly error: IRequestError | null;
  /** Consecutive failures. */
  readonly failures: number;
  /** Milliseconds until the next health check. */
  readonly wait: number;
}

export type Event =
  | { kind: 'restarted'; error: IRequestError | null }
  | { kind: 'answered' }
  | { kind: 'failed'; error: IRequestError }
  | { kind: 'health'; health: IEngineHealth }
  | { kind: 'no health'; error: IRequestError };

export const START: IState = {
  open: true,
  health: null,
  model: '',
  error: null,
  failures: 0,
  wait: MAX_POLL_INTERVAL
};

/** Return whether the server can answer a request. In phase `empty`, it loads its model at the first request. */
function canAnswer(health: IEngineHealth | null): boolean {
  return health !== null && (health.ready || health.phase === 'empty');
}

function closed(state: IState, health: IEngineHealth | null, error: IRequestError): IState {
  const wait = delayAfter(state.failures, FIRST_WAIT, MAX_POLL_INTERVAL);
  return {
    open: false,
    health,
    model: health?.model ?? state.model,
    error,
    failures: state.failures + 1,
    wait: Math.max(wait, Math.min(MAX_RETRY_DELAY, error.retryAfter))
  };
}

/** Return the state after an event. Pure. */
export function after(state: IState, event: Event): IState {
  switch (event.kind) {
    case 'restarted':
      return event.error ? closed(START, null, event.error) : START;
    case 'answered':
      return { ...state, open: true, error: null, failures: 0, wait: MAX_POLL_INTERVAL };
    case 'failed':
      // Ignore failures of requests that were sent before the first failure.
      return state.open ? closed(state, state.health, event.error) : state;
    case 'no health':
      return closed(state, null, event.error);
    case 'health': {
      const { health } = event;
      const { model } = health;
      if (health.phase === 'loading') {
        return { ...state, open: false, health, model, error: null, wait: LOADING };
      }
      if (!canAnswer(health)) {
        return closed(state, health, { kind: 'reported', message: health.reason ?? '', retryAfter: 0 });
      }
      // If the server reported to be healthy although a request failed, send the next request, and clear the error at the
      // next check.
      const hasRecovered = !canAnswer(state.health);
      return {
        open: true,
        health,
        model,
        error: hasRecovered || state.open ? null : state.error,
        failures: hasRecovered ? 0 : state.failures,
        wait: MAX_POLL_INTERVAL
      };
    }
  }
}

export interface IChange {
  before: IState;
  now: IState;
}

/** Return whether the server's model or its phase has changed. */
export function servesAnother({ before, now }: IChange): boolean {
  return now.health !== null && (now.model !== before.model || now.health.phase !== before.health?.phase);
}

/** Call `returned` when the user uses the page again after a rest; return a function that tells whether it is in use. */
export function followUse(page: EventTarget, returned: () => void): () => boolean {
  let usedAt = performance.now();
  const isInUse = (): boolean => performance.now() - usedAt < REST;
  const use = (): void => {
    const rested = !isInUse();
    usedAt = performance.now();
    if (rested) {
      returned();
    }
  };
  for (const type of ['pointermove', 'pointerdown', 'wheel', 'keydown']) {
    page.addEventListener(type, use, { capture: true, passive: true });
  }
  return isInUse;
}

export class Availability {
  /**
   * `visible`: whether the page is visible; a hidden page is not checked. `inUse`: whether the user uses it; otherwise a
   * server that can answer is not checked.
   */
  constructor(
    private readonly _health: (signal: AbortSignal) => Promise<IEngineHealth>,
    private readonly _visible: () => boolean = () => true,
    private readonly _inUse: () => boolean = () => true
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
    this._take({ kind: 'failed', error: requestErrorOf(reason) });
  }

  /** The server reported its health in the response to a request. */
  reported(health: IEngineHealth): void {
    this._dropCheck();
    this._take({ kind: 'health', health });
  }

  /** Check the server's health now. */
  check(): Promise<void> {
    clearTimeout(this._timer);
    this._checking ??= this._check();
    return this._checking.finished;
  }

  /** Reset the state for another engine; `reason`: why it is not available. */
  restart(reason?: unknown): void {
    this._dropCheck();
    this._take({ kind: 'restarted', error: reason === undefined ? null : requestErrorOf(reason) });
  }

  /** Wait until the server has finished loading a model or a check has failed; return the state. */
  async loaded(): Promise<IState> {
    while (this.state.health?.phase === 'loading') {
      await signalToPromise(this.changed);
    }
    return this.state;
  }

  /** Abort a running check: its result would be out of date. */
  private _dropCheck(): void {
    this._checking?.abort.abort();
    this._checking = null;
  }

  private _check(): ICheck {
    const abort = new AbortController();
    const run = async (): Promise<void> => {
      const patience = setTimeout(() => abort.abort(new ResponseError('timeout')), RESPONSE_TIMEOUT);
      const event: Event = await Promise.race([this._health(abort.signal), aborted(abort.signal)]).then(
        health => ({ kind: 'health', health }),
        (reason: unknown) => ({ kind: 'no health', error: requestErrorOf(reason) })
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
    this._timer = setTimeout(() => {
      // A hidden page checks when it becomes visible, and a page at rest when the user returns.
      const mayRest = now.open && canAnswer(now.health);
      if (this._visible() && (this._inUse() || !mayRest)) {
        void this.check();
      }
    }, now.wait);
    this.changed.emit({ before, now });
  }

  private _checking: ICheck | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
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
