/** The generation of a cell, as the server has one for each editor: a request is what it is for at the moment. */

import type { IClient, ICompletionFrame } from './client';
import type { Decline } from './decline';
import { type ICurrent, type IPosition, Suggestion, type Trigger } from './suggestion';
import { isDenial } from './requesterror';
import type { IRequest } from './wire';

/** The server ends older requests of a page itself. A browser opens few connections, so the page closes the oldest. */
const MOST_OPEN = 2;
const MOST_CACHED = 16;

export interface IState {
  trigger: Trigger;
  /** null: none in this editor */
  current: ICurrent | null;
  /** reason that prevents a request, whether or not the server can answer */
  obstacle: Decline | null;
  /** whether the server can answer */
  isOpen: boolean;
  /** whether the call's own request has reached the time limit without a text */
  isTimedOut: boolean;
  /** whether the text, the cursor or the current suggestion has changed while the call waited */
  isOutdated: boolean;
}

/**
 * `called`: the text has changed, or the user requests a suggestion · `continued`: the current suggestion has ended, with
 * nothing to show · `checked`: the health of the server was checked · `ended`: the call's own request has ended, with
 * nothing to show.
 */
export type Event = 'called' | 'continued' | 'checked' | 'ended';

/** `reason`: why nothing is requested. `cancel`: whether the current suggestion is cancelled first. */
export type Action = { reason?: Decline; cancel?: boolean } & (
  | { kind: 'decline' }
  /** Check the health of the server. */
  | { kind: 'check' }
  /** Show the current suggestion as it grows. `trigger`: that of its alternatives. */
  | { kind: 'continue'; trigger: Trigger }
  /** Send a request. `keep`: the shown text stays, and the answer may only continue it. */
  | { kind: 'request'; keep: boolean }
);

/** Return the action that follows an event. Pure. */
export function decide(state: IState, event: Event): Action {
  const { trigger, current, obstacle, isOpen } = state;
  if (event !== 'called' && state.isOutdated) {
    return { kind: 'decline', reason: 'outdated' };
  }
  if (event === 'ended') {
    const nothing = state.isTimedOut ? 'timeout' : isOpen ? 'nothing' : 'unavailable';
    return { kind: 'decline', reason: obstacle === 'denied' ? obstacle : nothing };
  }
  if (event === 'continued' && (!isOpen || current?.isHere)) {
    return { kind: 'decline', reason: 'reported' };
  }
  if (event === 'called' && current && isContinued(current, trigger)) {
    const isRepeated = current.isHere && !current.done;
    return { kind: 'continue', trigger: isRepeated ? current.trigger : trigger };
  }
  if (obstacle) {
    return { kind: 'decline', reason: obstacle, cancel: true };
  }
  const keep = trigger === 'invoke' && current !== null && isKept(current);
  if (isOpen) {
    return { kind: 'request', keep };
  }
  if (trigger === 'invoke' && event !== 'checked') {
    return { kind: 'check', cancel: !keep };
  }
  return keep
    ? { kind: 'continue', trigger, reason: 'unavailable' }
    : { kind: 'decline', reason: 'unavailable', cancel: true };
}

/** Return whether the current suggestion answers the call, too. */
function isContinued({ trigger, done, isHere, hasRest, isUsedUp }: ICurrent, called: Trigger): boolean {
  if (called === 'invoke') {
    // An explicit request replaces a complete suggestion and an automatic one.
    return trigger === 'invoke' && !done && (isHere || hasRest);
  }
  return hasRest || (!done && (isHere || (isUsedUp && trigger === 'invoke')));
}

/** Return whether the shown text stays while the user requests more. */
function isKept({ shown, hasRest, hasDropped, isHere }: ICurrent): boolean {
  // A repeated explicit request at the same position shows the text that was dropped.
  return shown && hasRest && !(hasDropped && isHere);
}

/** A call for a suggestion at a position. */
export interface ICall {
  readonly position: IPosition;
  readonly trigger: Trigger;
  /** Return the reason that prevents a request, whether or not the server can answer. */
  obstacle(): Decline | null;
  hasFocus(): boolean;
  /** There is a text: return whether it may be shown now. */
  mayShow(): boolean;
  body(): IRequest;
  /** Call `send` when the request is to be sent. */
  schedule(send: () => void): void;
  /** Nothing is requested. */
  declined(reason: Decline): void;
}

/** The owner of generations: it has a client, and is notified of events. */
export interface IOwner<Editor> {
  complete: IClient['complete'];
  /** Return the text and the cursor of an editor; null if it is closed. */
  positionOf(editor: Editor): IPosition | null;
  /** Return whether the server can answer. */
  isOpen(): boolean;
  /** Check the health of the server. */
  check(): Promise<void>;
  /** Another suggestion is the current one; if it is done, it is cached. */
  started(suggestion: Suggestion, generation: Generation<Editor>): void;
  /** A request was sent (1) or has ended (-1). */
  open(change: 1 | -1): void;
  /** A frame has extended the current suggestion. */
  received(frame: ICompletionFrame, suggestion: Suggestion, generation: Generation<Editor>): void;
  /** A request was answered. `suggestion`: its suggestion, if that is the current one. */
  answered(body: IRequest, suggestion: Suggestion | null, generation: Generation<Editor>): void;
  failed(body: IRequest, reason: unknown, isAborted: boolean): void;
  /** A suggestion is no longer the current one. `mayReturn`: the next one may be the same. */
  left(suggestion: Suggestion, position: IPosition | null, mayReturn: boolean): void;
}

/**
 * The current suggestion of a cell, the connections of the requests that it is generated for, and the cached suggestions.
 * The server may continue an older request for a newer one, but only frames of the newest are used.
 *
 *     no suggestion ── start ──→ awaited ──→ growing ──→ done: its rest is shown as the user types it
 *           ↑                       └───────────┴──────── start: a request elsewhere, which may keep the shown text
 *           └── cancel, dismiss ──
 */
export class Generation<Editor> {
  constructor(
    readonly editor: Editor,
    private readonly _owner: IOwner<Editor>
  ) {}

  current: Suggestion | null = null;

  /** The trigger of the last call, or of the explicit request that it repeats. */
  trigger: Trigger = 'automatic';

  /** The call to repeat once the server can answer. */
  pending: Pick<ICall, 'position' | 'trigger'> | null = null;

  /** The rest of the current suggestion at the cursor; `null`: there is none, or the text around the cursor differs. */
  get rest(): string | null {
    const position = this.current && this._position;
    return (position && this.current?.rest(position)) ?? null;
  }

  /** The rest of the current suggestion unless the user has dismissed it; empty if there is none. */
  get visible(): string {
    const { rest } = this;
    const position = this._dismissed && this._position;
    return rest && !(position && this._dismissed?.hides(rest, position)) ? rest : '';
  }

  /**
   * Answer a call: carry out the action that follows each event. Return the suggestion once there is a text to show.
   *
   *     called → decide ┬→ check ────────────────────────→ checked ───┐
   *                ↑    ├→ request ──→ suggestion, or else ended ─────┤
   *                │    ├→ continue ─→ suggestion, or else continued ─┤
   *                │    └→ decline ──→ no suggestion                  │
   *                └──────────────────────────────────────────────────┘
   */
  async answer(call: ICall): Promise<{ suggestion: Suggestion; text: string } | null> {
    const { position, trigger } = call;
    const isAt = ({ text, offset }: IPosition) => text === position.text && offset === position.offset;
    const isForeign = trigger === 'automatic' && position.text === this._foreign;
    if (trigger === 'invoke' || !this._dismissed?.restOnLine(position)) {
      this._dismissed = null;
    }
    this.trigger = trigger;
    let awaited = this.current;
    for (let event: Event = 'called'; ;) {
      const now = this._position;
      const state = {
        trigger,
        current: this.current?.stateAt(position) ?? null,
        obstacle: isForeign ? ('foreign edit' as const) : call.obstacle(),
        isOpen: this._owner.isOpen(),
        isTimedOut: awaited?.isTimedOut ?? false,
        isOutdated: this.current !== awaited || !now || !isAt(now) || !call.hasFocus()
      };
      const action = decide(state, event);
      if (action.cancel) {
        this.cancel();
      }
      if (action.reason) {
        this.pending = action.reason === 'unavailable' ? { position, trigger } : this.pending;
        call.declined(action.reason);
      }
      switch (action.kind) {
        case 'decline':
          return null;
        case 'check':
          awaited = this.current;
          await this._owner.check();
          event = 'checked';
          continue;
        case 'request':
          awaited = this._start(call, action.keep);
          event = 'ended';
          break;
        case 'continue':
          this.trigger = action.trigger;
          event = 'continued';
      }
      const suggestion = awaited;
      for await (const text of suggestion ? this.texts(suggestion) : []) {
        if (!call.hasFocus()) {
          break;
        }
        // It may just have been cancelled.
        if (suggestion && suggestion === this.current && call.mayShow()) {
          return { suggestion, text };
        }
      }
      if (trigger === 'automatic' && !call.mayShow()) {
        return null; // the text is shown when the call after the next keystroke may show it
      }
    }
  }

  /** Yield the visible text whenever it changes, while a suggestion is the current one. */
  async *texts(suggestion: Suggestion, last = ''): AsyncGenerator<string> {
    while (this.current === suggestion && this.rest !== null) {
      const { done } = suggestion;
      const { visible } = this;
      if (visible && visible !== last) {
        last = visible;
        yield visible;
      }
      if (done) {
        return;
      }
      await suggestion.changed();
    }
  }

  /** The user dismisses the text that the page shows: the next keystroke does not show it again. */
  dismiss(text: string): void {
    const position = this._position;
    if (this.current?.shown && text && position) {
      this._dismissed = new Suggestion(position, text);
    }
    this.cancel();
  }

  /** Another user has edited the text. Return whether there was a suggestion. */
  edited(text: string): boolean {
    const before = this.current;
    this._foreign = text;
    this.cancel();
    return before !== null;
  }

  cancel(): void {
    this._replace(null, false);
    this._close();
  }

  /** The user has left the cell or stopped suggestions: cancel, and repeat no call. */
  leave(): void {
    this.pending = null;
    this.cancel();
  }

  /** The server has failed: the shown text stays. */
  interrupt(): void {
    this._close();
    if (this.current && !this.current.done) {
      this.current.finish();
      this._failed(); // at once: the server may be back before the connection has ended
    }
  }

  /** Clear the cached suggestions. */
  forget(): void {
    this._cached = [];
    this._surroundings = '';
  }

  /**
   * Make the suggestion for a call the current one: a cached one, which is done, or a new one, for which a request is sent.
   * `keep`: it begins with the shown text.
   */
  private _start(call: ICall, keep: boolean): Suggestion {
    const { position, trigger } = call;
    const body = call.body();
    const before = this.current;
    const rest = before?.rest(position) ?? null;
    const cached = trigger === 'automatic' ? this._lookup(body, position) : undefined;
    const suggestion = cached ?? new Suggestion(position);
    this.pending = null;
    this._replace(suggestion, rest !== null);
    Object.assign(suggestion, { trigger, shown: false, shownAt: null, reportedAs: '' });
    if (keep && before && rest) {
      const { id, shown, shownAt, reportedAs } = before;
      suggestion.grow(rest, before.imports, before.opensIn(rest));
      Object.assign(suggestion, { id, shown, shownAt, reportedAs });
    }
    this._owner.started(suggestion, this);
    if (cached) {
      this._close();
    } else {
      call.schedule(() => void this._send(suggestion, body));
    }
    return suggestion;
  }

  private async _send(suggestion: Suggestion, body: IRequest): Promise<void> {
    if (this.current !== suggestion || suggestion.done) {
      return;
    }
    const abort = new AbortController();
    const { signal } = abort;
    let isCacheable = suggestion.trigger === 'automatic';
    this._open.push(abort);
    this._close(MOST_OPEN);
    this._owner.open(1);
    try {
      await this._owner.complete(body, signal, frame => {
        if (this.current === suggestion) {
          isCacheable &&= !frame.uncached;
          suggestion.receive(frame);
          this._owner.received(frame, suggestion, this);
        }
      });
      const isCurrent = this.current === suggestion;
      if (isCurrent && isCacheable && suggestion.text) {
        this._remember(body, suggestion);
      }
      this._owner.answered(body, isCurrent ? suggestion : null, this);
    } catch (reason) {
      if (this.current === suggestion && !signal.aborted && !isDenial(reason)) {
        this._failed();
      }
      this._owner.failed(body, reason, signal.aborted);
    } finally {
      suggestion.finish();
      this._open = this._open.filter(other => other !== abort);
      this._owner.open(-1);
    }
  }

  /** Repeat the request of the current suggestion once the server can answer. */
  private _failed(): void {
    const position = this._position;
    this.pending = position && this.current && { position, trigger: this.current.trigger };
  }

  private get _position(): IPosition | null {
    return this._owner.positionOf(this.editor);
  }

  private _replace(next: Suggestion | null, mayReturn: boolean): void {
    const before = this.current;
    this.current = next;
    if (before) {
      this._owner.left(before, this._position, mayReturn);
      before.finish();
    }
  }

  /** Close the oldest connections; `most` stay open. */
  private _close(most = 0): void {
    while (this._open.length > most) {
      this._open.shift()?.abort();
    }
  }

  private _remember(body: IRequest, suggestion: Suggestion): void {
    const surroundings = surroundingsOf(body);
    const known = surroundings === this._surroundings ? this._cached : [];
    this._surroundings = surroundings;
    this._cached = [suggestion, ...known].slice(0, MOST_CACHED);
  }

  /** Return a cached suggestion for a position, preferably one that was requested there. */
  private _lookup(body: IRequest, position: IPosition): Suggestion | undefined {
    const known = this._cached.length > 0 && surroundingsOf(body) === this._surroundings ? this._cached : [];
    return known.find(one => one.isFor(position)) ?? known.find(one => one.rest(position));
  }

  private _dismissed: Suggestion | null = null;
  /** the text after the last edit by another user */
  private _foreign: string | null = null;
  /** of the requests that have been sent and not ended, the oldest first */
  private _open: AbortController[] = [];
  /** the suggestions that are done, the newest first, all with the same surroundings */
  private _cached: Suggestion[] = [];
  private _surroundings = '';
}

/** Return a request without the text of the active cell, which `Suggestion.rest` compares. */
function surroundingsOf(body: IRequest): string {
  const cells = body.cells.map((cell, index) => (index === body.active ? null : cell));
  return JSON.stringify({ ...body, cells, offset: 0, sequence: 0 });
}
