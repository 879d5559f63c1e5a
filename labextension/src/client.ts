/** The interfaces of clients for completions and models, implemented for the server and for the browser engine. */

import type {
  IAnswer,
  IFeedback,
  IFixes,
  IFixRequest,
  IFrame,
  IHealth,
  IModel,
  IRenameEdits,
  IRenameRequest,
  IRepeatEdits,
  IRepeatRequest,
  IRequest,
  IStep
} from './wire';

/** The health of an engine. */
export interface IEngineHealth extends IHealth {
  /** size of the browser model in bytes, and the progress of its download */
  inPage?: { size: number | null; step: IStep | null };
}

export interface ICompletionClient {
  /** Complete, calling `frame` as the text grows. */
  complete(request: IRequest, signal: AbortSignal, frame: (frame: IFrame) => void): Promise<void>;
  /** Several whole alternatives. */
  alternatives(request: IRequest, signal: AbortSignal): Promise<IAnswer>;
  health(signal?: AbortSignal): Promise<IEngineHealth>;
  /** Send feedback (numbers only) without waiting for a response; errors are ignored. */
  feedback(feedback: IFeedback): void;
  resetStatistics(): Promise<void>;
  /** Delete the notebook index; it stays deleted until `buildIndex`. */
  deleteIndex(): Promise<IHealth>;
  buildIndex(): Promise<IHealth>;
}

export interface IModelClient {
  /** Whether the models run in this page. */
  readonly inPage: boolean;
  models(): Promise<IModel[]>;
  select(model: string, adaptersEnabled?: boolean | null): Promise<IHealth>;
  /** Download a model, calling `step` with the progress. Rejects if the download does not complete. */
  pull(model: string, mirrors: boolean, step: (step: IStep) => void, select?: boolean): Promise<void>;
  stopPull(model: string): Promise<void>;
  /** Delete a model's file; return the freed bytes. */
  remove(model: string): Promise<number>;
}

export interface IFixClient {
  /** Return fixes for an error, or null: the engine has none. */
  fix(request: IFixRequest, signal: AbortSignal): Promise<IFixes | null>;
  rename(request: IRenameRequest, signal: AbortSignal): Promise<IRenameEdits | null>;
  /** Return the edits of the other occurrences of edited code. */
  repeat(request: IRepeatRequest, signal: AbortSignal): Promise<IRepeatEdits | null>;
  feedback(feedback: IFeedback): void;
}

/** An engine in this page has neither fixes nor renames. */
export interface IClient
  extends ICompletionClient, IModelClient, Partial<Pick<IFixClient, 'fix' | 'rename' | 'repeat'>> {
  /** Release resources: another client is used. This one may be used again later. */
  leave?(): void;
}
