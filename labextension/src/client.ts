/** The interface of a client for completions, models and fixes, implemented for the server and for the browser engine. */

import type * as wire from './wire';

/** The health of an engine; one in the page lacks what only a server has. */
export type IEngineHealth = Partial<wire.IHealth> &
  Pick<wire.IHealth, 'ready' | 'phase' | 'model'> & {
    /** size of the browser model in bytes, and the progress of its download; missing for a server */
    inPage?: { size: number | null; step: wire.IProgress | null };
  };

/** A frame. The browser engine measures only the total time. */
export type ICompletionFrame = Omit<wire.IFrame, 'timings'> & { timings?: Pick<wire.ITimings, 'total_ms'> };

export interface IClient {
  /** Complete, calling `frame` as the text grows. */
  complete(
    request: wire.IRequest,
    signal: AbortSignal,
    frame: (frame: ICompletionFrame) => void
  ): Promise<void>;
  /** Several whole alternatives. */
  alternatives(request: wire.IRequest, signal: AbortSignal): Promise<Pick<wire.IAnswer, 'items'>>;
  /** Return fixes for an error, or null: an engine in the page has neither fixes nor renames. */
  fix(request: wire.IFixRequest, signal: AbortSignal): Promise<wire.IFixes | null>;
  /** Return the names in a cell that the kernel shows not to exist. */
  check(request: wire.ICheckRequest, signal: AbortSignal): Promise<wire.IFindings | null>;
  rename(request: wire.IRenameRequest, signal: AbortSignal): Promise<wire.IRenameEdits | null>;
  /** Return the edits of the other occurrences of edited code. */
  repeat(request: wire.IRepeatRequest, signal: AbortSignal): Promise<wire.IRepeatEdits | null>;
  /** Send feedback (numbers only) without waiting for a response; errors are ignored. */
  feedback(feedback: wire.IFeedback): void;
  health(signal?: AbortSignal): Promise<IEngineHealth>;
  resetStatistics(): Promise<void>;
  /** Delete the notebook index; it stays deleted until `buildIndex`. */
  deleteIndex(): Promise<IEngineHealth>;
  buildIndex(): Promise<IEngineHealth>;
  models(): Promise<wire.IModel[]>;
  select(model: string, adaptersEnabled?: boolean | null): Promise<IEngineHealth>;
  /** Download a model, calling `step` with the progress. Rejects if the download does not complete. */
  pull(
    model: string,
    mirrors: boolean,
    step: (step: wire.IProgress) => void,
    select?: boolean
  ): Promise<void>;
  stopPull(model: string): Promise<void>;
  /** Delete a model's file; return the freed bytes. */
  remove(model: string): Promise<number>;
  /** Release resources: another client is used. This one may be used again later. */
  leave?(): void;
}
