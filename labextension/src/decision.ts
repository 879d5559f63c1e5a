/** Decides what the provider does when JupyterLab calls it. Pure. */

import type { Decline } from './decline';

/** Cause of a call: a keystroke or a timer, or the user's command. */
export type Trigger = 'automatic' | 'invoke';

/** The current request, seen from the position of the call. */
export interface ICurrent {
  trigger: Trigger;
  /** whether its text is complete */
  done: boolean;
  /** whether it is shown */
  shown: boolean;
  /** whether it was sent from this position */
  isHere: boolean;
  /** whether some of its text is left to show */
  hasRest: boolean;
  /** whether the cursor is at the end of its text */
  isUsedUp: boolean;
  /** whether a received text did not continue the shown one */
  hasDropped: boolean;
}

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
  /** whether the text, the cursor or the current request has changed while the call waited */
  isOutdated: boolean;
}

/**
 * `called`: JupyterLab calls the provider · `continued`: the current request has ended, with nothing to show ·
 * `checked`: the health of the server was checked · `ended`: the call's own request has ended, with nothing to show.
 */
export type Event = 'called' | 'continued' | 'checked' | 'ended';

/** `reason`: why nothing is requested. `cancel`: whether the current request is cancelled first. */
export type Action = { reason?: Decline; cancel?: boolean } & (
  | { kind: 'decline' }
  /** Check the health of the server. */
  | { kind: 'check' }
  /** Show the current suggestion as it grows. `trigger`: that of its alternatives. */
  | { kind: 'continue'; trigger: Trigger }
  /** Send a request. `keep`: the shown text stays, and the answer may only continue it. */
  | { kind: 'request'; keep: boolean }
);

/** Return the action that follows an event. */
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

/** Return whether the current request answers the call, too. */
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
